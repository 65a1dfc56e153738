import { describe, expect, it } from 'vitest';
import { planColumns } from './column-plan.js';
import { genericFormat } from './generic-format.js';
import { importLimits } from './import-item.js';
import type { ImportOptions } from './import-options.js';

const plan = (header: string, options: ImportOptions = {}) => {
  const { header: names, fields, breakdown, ignored, currencyOfHeader } = planColumns(header.split(','), genericFormat, options);
  return {
    fields: Object.fromEntries(Object.entries(fields).map(([field, index]) => [field, names[index]])),
    breakdown: breakdown.map(({ dimension }) => dimension),
    ignored,
    currencyOfHeader,
  };
};
const failure = (code: string, details: object) => expect.objectContaining({ code, details: expect.objectContaining(details) });

describe('planColumns', () => {
  it('finds fields by their names, without regard to case and marks', () => {
    expect(plan('Day,CAMPAIGN_ID,Campaign name,Impr.,Link clicks,Cost,Conv. value,Daily Budget').fields).toEqual({
      date: 'Day',
      campaignId: 'CAMPAIGN_ID',
      campaign: 'Campaign name',
      impressions: 'Impr.',
      clicks: 'Link clicks',
      spend: 'Cost',
      conversionValue: 'Conv. value',
      dailyBudget: 'Daily Budget',
    });
  });

  it('prefers the exact name of a field, and asks between others', () => {
    expect(plan('date,campaign,clicks,link clicks,account name,account id')).toMatchObject({
      fields: { clicks: 'clicks', account: 'account id' },
      ignored: ['link clicks', 'account name'],
    });
    expect(() => plan('date,campaign,Total_Conversion,Approved_Conversion')).toThrow(
      failure('IMPORT_UNREADABLE', { option: '--map', field: 'conversions', candidates: ['Total_Conversion', 'Approved_Conversion'] }),
    );
    expect(plan('date,campaign,Total_Conversion,Approved_Conversion', { map: { conversions: 'approved conversion' } }).ignored).toEqual([
      'Total_Conversion',
    ]);
  });

  it('keeps what slices a day apart, by one name for a dimension', () => {
    const { breakdown, ignored } = plan('date,campaign,clicks,Ad ID,Age group,fb_campaign_id,CTR,HourSlot', { breakdown: ['HourSlot'] });
    expect(breakdown).toEqual(['ad_id', 'age', 'fb_campaign_id', 'hour_slot']);
    expect(ignored).toEqual(['CTR']);
  });

  it('lets one column serve two fields when it is told to', () => {
    expect(plan('date,name,clicks', { map: { campaign: 'name', campaignId: 'name' } }).fields).toMatchObject({
      campaign: 'name',
      campaignId: 'name',
    });
  });

  it('takes the currency from the header of an amount', () => {
    expect(plan('date,campaign,Amount spent (EUR)')).toMatchObject({ fields: { spend: 'Amount spent (EUR)' }, currencyOfHeader: 'EUR' });
    expect(() => plan('date,campaign,cost (EUR),revenue (USD)')).toThrow(failure('IMPORT_UNREADABLE', { currencies: ['EUR', 'USD'] }));
  });

  it.each([
    ['campaign,clicks', 'date'],
    ['date,clicks', 'campaignId'],
    ['date,campaign,reach', 'impressions'],
  ])('misses what is missing in %s', (header, field) => {
    expect(() => plan(header)).toThrow(failure('IMPORT_UNREADABLE', { option: '--map', field, columns: header.split(',') }));
  });

  it('refuses options that name what is not there or there twice', () => {
    expect(() => plan('date,campaign,clicks', { map: { spend: 'price' } })).toThrow(
      failure('BAD_USER_INPUT', { option: '--map', column: 'price', columns: ['date', 'campaign', 'clicks'] }),
    );
    expect(() => plan('date,campaign,clicks', { breakdown: ['x'] })).toThrow(failure('BAD_USER_INPUT', { option: '--breakdown' }));
    expect(() => plan('date,campaign,x,x', { map: { clicks: 'x' } })).toThrow(failure('IMPORT_UNREADABLE', { candidates: ['x', 'x'] }));
    expect(() => plan('date,campaign,clicks,sku,asin')).toThrow(
      failure('IMPORT_UNREADABLE', { option: '--breakdown', candidates: ['sku', 'asin'] }),
    );
    expect(plan('date,campaign,clicks,sku,asin', { breakdown: ['asin'] })).toMatchObject({ breakdown: ['product_id'], ignored: ['sku'] });
  });

  it('bounds the number of columns and their names', () => {
    const many = `date,campaign,clicks${',x'.repeat(importLimits.columnsMax)}`;
    expect(() => plan(many)).toThrow(expect.objectContaining({ code: 'IMPORT_UNREADABLE' }));
    expect(() => plan(`date,campaign,clicks,${'x'.repeat(513)}`)).toThrow(expect.objectContaining({ code: 'IMPORT_UNREADABLE' }));
    expect(() => plan('date,campaign,clicks,a\0b')).toThrow(expect.objectContaining({ code: 'IMPORT_UNREADABLE' }));
    expect(plan('date,campaign,clicks,,').ignored).toEqual(['column 4', 'column 5']);
  });
});
