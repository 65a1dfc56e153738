import { join } from 'node:path';
import { askGraphql, askRest } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { onBothBuses } from './both-buses.js';
import { type RunningSystem, runningSystem } from './running-system.js';

const sample = process.env['PCA_SAMPLE_DATA'];
const importArgs = [
  'import',
  '--format',
  'generic',
  '--platform',
  'Facebook',
  '--currency',
  'USD',
  '--map',
  'campaignId=xyz_campaign_id,conversions=Approved_Conversion',
];

await onBothBuses((bus) => {
  let system: RunningSystem;
  let token: string;
  beforeAll(async () => {
    system = await runningSystem({ env: { BUS: bus, KAFKA_BROKERS: '' } });
    await system.start();
    token = (await system.command('token', '--role', 'admin')).stdout.trim();
  });
  afterAll(() => system.remove());

  it.skipIf(!sample)('imports a real file through the gateway, twice, and answers the query of the interface', async () => {
    for (const changed of [
      '1,143 stored rows are new or changed, 3 campaigns are new',
      '0 stored rows are new or changed, 0 campaigns are new',
    ]) {
      const { code, stdout, stderr } = await system.command(...importArgs, join(sample ?? '', 'ads/KAG_conversion_data.csv'));
      expect({ code, stderr: stderr.includes('Error') }, stderr).toEqual({ code: 0, stderr: false });
      expect(stdout).toContain('1,143 rows of 3 campaigns taken in, 0 rejected');
      expect(stdout).toContain(changed);
      const totals = await askGraphql(system.gatewayUrl, token, '{ metrics { totals { impressions clicks spend conversions } } }');
      expect(totals.data).toEqual({
        metrics: { totals: { impressions: 213_434_828, clicks: 38_165, spend: expect.closeTo(58_705.23, 2), conversions: 1_079 } },
      });
    }
    const query = (platform: string) =>
      `query { campaigns(filter: {platform: "${platform}", min_spend: 1000}, limit: 10) { id name spend ctr conversions } }`;
    const facebook = await askGraphql<{ campaigns: unknown[] }>(system.gatewayUrl, token, query('Facebook'));
    expect(facebook.errors).toEqual([]);
    expect(facebook.data?.campaigns).toHaveLength(2);
    const google = await askGraphql(system.gatewayUrl, token, query('Google'));
    expect(google).toMatchObject({ data: { campaigns: [] }, errors: [] });
  });

  it('imports, reports rejected rows and answers over GraphQL and REST, at the gateway alone', async () => {
    const file = 'date,campaign,clicks\n2026-02-01,Bahar,5\n2026-02-01,Bahar,x\n';
    const imported = await askRest(system.gatewayUrl, token, 'POST', '/v1/imports?platform=TikTok&currency=TRY', file, {
      'content-type': 'text/csv',
    });
    expect(await imported.json()).toMatchObject({
      state: 'DONE',
      report: { rows: 1, rejected: 1, rejectedRows: [{ line: 3, column: 'clicks' }] },
    });
    const { data } = await askGraphql(system.gatewayUrl, token, '{ campaigns(filter: {platform: "tiktok"}) { name clicks } }');
    expect(data).toEqual({ campaigns: [{ name: 'Bahar', clicks: 5 }] });
    const listed = await askRest(system.gatewayUrl, token, 'GET', '/v1/campaigns?platform=tiktok');
    expect(await listed.json()).toMatchObject({ campaigns: [{ name: 'Bahar', clicks: 5 }] });
  });

  it('shuts another workspace out at the gateway', async () => {
    const foreign = (await system.command('token', '--role', 'owner', '--workspace', 'elsewhere')).stdout.trim();
    const { data } = await askGraphql(system.gatewayUrl, foreign, '{ campaigns { id } }');
    expect(data).toEqual({ campaigns: [] });
  });

  it('tells what is wrong with an import in one line', async () => {
    const missing = await system.command('import', 'no-such-file.csv');
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr.trim().split('\n')).toHaveLength(1);
    expect(missing.stderr).toContain('There is no file');
  });
});
