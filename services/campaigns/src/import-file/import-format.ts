import { DomainError } from '@pca/errors';
import { genericFormat } from './generic-format.js';
import type { ImportField } from './import-item.js';

/** Names without case, spaces and marks, so that "Campaign ID", campaign_id and campaignId are one. */
export type SquashedName = string;

/** What is particular to the files of one origin: which column names mean what. */
export interface ImportFormat {
  readonly name: string;
  /** Field → groups of names; an earlier group wins, two names of one group are ambiguous. The first group is the field's own name. */
  readonly fields: Readonly<Record<ImportField, readonly (readonly SquashedName[])[]>>;
  /** Column name → dimension: columns that slice a day. */
  readonly dimensions: ReadonlyMap<SquashedName, string>;
  /**
   * Label → the id that it describes: where the id is there, the label is no part of the breakdown key, for names change and ids do not.
   */
  readonly labels: ReadonlyMap<string, string>;
}

const formats: readonly ImportFormat[] = [genericFormat];

/** @throws DomainError BAD_USER_INPUT when there is no such format. */
export const importFormatOf = (name: string): ImportFormat => {
  const format = formats.find((candidate) => candidate.name === name);
  if (!format)
    throw new DomainError('BAD_USER_INPUT', 'There is no import format of that name', {
      option: '--format',
      candidates: formats.map((known) => known.name),
    });
  return format;
};

export const squash = (name: string): SquashedName =>
  name
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, '');
