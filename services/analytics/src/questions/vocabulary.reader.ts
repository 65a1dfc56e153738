import { Injectable } from '@nestjs/common';
import { textKinds } from '../timelines/dictionary.js';
import { Questions } from './questions.service.js';

/** Names of a client's own beginning and end of a session: they bound it in time, and are neither counted as events nor features. */
const markerNames = ['$session_start', '$session_end'];
const pageName = 'page';

/** Codes of the events that have a meaning of their own. They stand for ever, unlike those of other names (`reservedNames`). */
export interface Vocabulary {
  /** Of a page view; 0, which no event has, where there was none. */
  readonly page: number;
  readonly markers: readonly number[];
}

@Injectable()
export class VocabularyReader {
  constructor(private readonly questions: Questions) {}

  async of(workspace: number): Promise<Vocabulary> {
    const rows = await this.questions.ask<{ text: string; code: number }>(
      `select text, code from (select text, code_of($1, ${textKinds.name.number}, text) as code from unnest($2::text[]) as text) as named
       where code is not null`,
      [workspace, [pageName, ...markerNames]],
    );
    const codes = new Map(rows.map(({ text, code }) => [text, code]));
    return { page: codes.get(pageName) ?? 0, markers: markerNames.flatMap((name) => codes.get(name) ?? []) };
  }
}
