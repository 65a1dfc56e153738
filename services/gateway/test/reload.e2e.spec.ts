import { readFile, rename, writeFile } from 'node:fs/promises';
import { composeSupergraph } from '@pca/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Fixtures, type RunningGateway, startFixtures, startGateway } from './gateway-harness.js';

let fixtures: Fixtures;
let gateway: RunningGateway;
beforeAll(async () => {
  fixtures = await startFixtures();
  gateway = await startGateway(fixtures);
});
afterAll(async () => {
  await gateway.stop();
  await fixtures.stop();
});

const notes = '{ recentNotes(limit: 1) { text } }';
const codeOfNotes = async (): Promise<string | undefined> => (await gateway.graph(notes)).body.errors?.[0]?.extensions.code;
const answered = async (): Promise<boolean> => (await gateway.graph('{ campaigns(limit: 1) { id } }')).body.data !== undefined;

it('follows the supergraph file, written in place or replaced, and keeps the old one when the new one is broken', async () => {
  expect(await codeOfNotes()).toBeUndefined();
  const whole = await readFile(fixtures.supergraphFile, 'utf8');

  // Without the notes: what was a valid and cached document is one no more.
  await writeFile(fixtures.supergraphFile, composeSupergraph([fixtures.campaigns]));
  await expect.poll(codeOfNotes).toBe('GRAPHQL_VALIDATION_FAILED');
  expect(await answered()).toBe(true);

  await writeFile(`${fixtures.supergraphFile}.new`, whole);
  await rename(`${fixtures.supergraphFile}.new`, fixtures.supergraphFile);
  await expect.poll(codeOfNotes).toBeUndefined();

  for (const broken of [
    whole.slice(0, whole.length / 2),
    'type Query { x: Int }',
    '',
    whole.replaceAll('NOTES', 'GHOST').replaceAll('"notes"', '"ghost"'),
  ]) {
    await writeFile(fixtures.supergraphFile, broken);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await codeOfNotes()).toBeUndefined();
    expect(await answered()).toBe(true);
  }

  await writeFile(fixtures.supergraphFile, composeSupergraph([fixtures.campaigns]));
  await expect.poll(codeOfNotes).toBe('GRAPHQL_VALIDATION_FAILED');
});
