import { Injectable } from '@nestjs/common';
import { textKinds } from '../timelines/dictionary.js';
import { Questions } from './questions.service.js';

/** Names of a client's own beginning and end of a session: they bound it in time, and are neither counted as events nor features. */
const markerNames = ['$session_start', '$session_end'];
const pageName = 'page';

/** Codes of the events that have a meaning of their own. */
export interface Vocabulary {
  /** Of a page view; 0, which no event has, where there was none. */
  readonly page: number;
  readonly markers: readonly number[];
}

@Injectable()
export class VocabularyReader {
  constructor(private readonly questions: Questions) {}

  async of(workspace: number): Promise<Vocabulary> {
    const codes = await this.codesOf(workspace, [pageName, ...markerNames]);
    return { page: codes.get(pageName) ?? 0, markers: markerNames.flatMap((name) => codes.get(name) ?? []) };
  }

  /** Codes of the names of events that ever came. */
  async codesOf(workspace: number, names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = await this.questions.ask<{ text: string; code: number }>(
      `select text, code from (select text, code_of($1, ${textKinds.name.number}, text) as code from unnest($2::text[]) as text) as named
       where code is not null`,
      [workspace, names],
    );
    return new Map(rows.map(({ text, code }) => [text, code]));
  }
}
