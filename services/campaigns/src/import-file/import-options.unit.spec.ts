import { describe, expect, it } from 'vitest';
import { type ImportOptionTexts, parseColumnMap, parseImportOptions } from './import-options.js';

const badInput = (option: string) => expect.objectContaining({ code: 'BAD_USER_INPUT', details: expect.objectContaining({ option }) });

describe('parseImportOptions', () => {
  it('makes values of the texts of a command line', () => {
    expect(
      parseImportOptions({
        format: 'generic',
        platform: ' Facebook ',
        currency: 'usd',
        map: 'campaignId=xyz_campaign_id,conversions=Approved_Conversion',
        breakdown: 'slot, "a,b"',
        dateFormat: 'dd.mm.yyyy',
        delimiter: 'tab',
        encoding: 'latin1',
        decimal: 'comma',
      }),
    ).toEqual({
      format: 'generic',
      platform: 'Facebook',
      currency: 'USD',
      map: { campaignId: 'xyz_campaign_id', conversions: 'Approved_Conversion' },
      breakdown: ['slot', 'a,b'],
      dateFormat: 'DD-MM-YYYY',
      delimiter: '\t',
      encoding: 'windows-1252',
      decimal: ',',
    });
  });

  it('takes what is absent or empty for not said', () => {
    expect(parseImportOptions({})).toEqual({ format: 'generic' });
    expect(parseImportOptions({ platform: '', currency: undefined })).toEqual({ format: 'generic' });
  });

  it.each([
    [{ platfrom: 'Meta' } as ImportOptionTexts, 'platfrom'],
    [{ format: 'google-ads' }, '--format'],
    [{ platform: ' ' }, '--platform'],
    [{ platform: 'a\0b' }, '--platform'],
    [{ platform: 'x'.repeat(65) }, '--platform'],
    [{ currency: 'dollars' }, '--currency'],
    [{ map: 'spend' }, '--map'],
    [{ map: 'spend=' }, '--map'],
    [{ map: 'spend=a,spend=b' }, '--map'],
    [{ map: 'turnover=a' }, '--map'],
    [{ map: 'spend="a' }, '--map'],
    [{ map: 'x'.repeat(10_000) }, '--map'],
    [{ breakdown: 'a"b' }, '--breakdown'],
    [{ dateFormat: 'yesterday' }, '--date-format'],
    [{ delimiter: '||' }, '--delimiter'],
    [{ delimiter: 'constructor' }, '--delimiter'],
    [{ encoding: 'base64' }, '--encoding'],
    [{ decimal: 'toString' }, '--decimal'],
    [{ platform: ['a', 'b'] as unknown as string }, '--platform'],
  ] satisfies [ImportOptionTexts, string][])('refuses %.60j', (texts, option) => {
    expect(() => parseImportOptions(texts)).toThrow(badInput(option));
  });
});

describe('parseColumnMap', () => {
  it('knows fields however they are spelled, and columns that need quotes', () => {
    expect(parseColumnMap('campaign_id=a, Campaign Name = b c ,spend="Cost, ""net""",clicks=x=y')).toEqual({
      campaignId: 'a',
      campaign: 'b c',
      spend: 'Cost, "net"',
      clicks: 'x=y',
    });
  });
});
