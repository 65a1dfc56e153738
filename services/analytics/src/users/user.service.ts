import { Injectable } from '@nestjs/common';
import { type CallContext, parseInput } from '@pca/service-kit';
import { z } from 'zod';
import { limitSchema, stepsSchema, textSchema } from '../questions/limits.js';
import { type GivenRange, timeRangeOf } from '../questions/time-range.js';
import { Freshness } from '../freshness/freshness.service.js';
import { SessionReader } from '../sessions/session.reader.js';
import { type SessionType, sessionTypeOf } from '../sessions/session.types.js';
import { type Workspace, WorkspaceStore } from '../workspaces/workspace.store.js';
import { JourneyReader } from './journey.reader.js';
import { type Sighting, UserReader } from './user.reader.js';
import { UserStatsReader } from './user-stats.reader.js';
import { type JourneyStep, journeyStepOf, type UserStatsType, userStatsTypeOf, type UserType, userTypeOf } from './user.types.js';

export interface JourneyQuestion extends GivenRange {
  readonly limit: number;
  readonly includeBots: boolean;
}

/** Reads a call's workspace, and how fresh the answer is, before the answer. */
@Injectable()
export class UserService {
  constructor(
    private readonly workspaces: WorkspaceStore,
    private readonly freshness: Freshness,
    private readonly users: UserReader,
    private readonly statsReader: UserStatsReader,
    private readonly sessionReader: SessionReader,
    private readonly journeyReader: JourneyReader,
  ) {}

  async byId(call: CallContext, id: string): Promise<UserType | null> {
    const [user] = await this.byIds(call, [parseInput(textSchema, id, 'id')]);
    return user ?? null;
  }

  /** In the order of `ids`, each checked by `textSchema`; null for what is nobody's. */
  async byIds(call: CallContext, ids: readonly string[]): Promise<(UserType | null)[]> {
    const found = await this.users.find((await this.workspace(call)).number, ids);
    const persons = [...new Set(found.filter((person) => person !== undefined))];
    const users = new Map((await this.byPersons(call, persons)).map((user) => [user?.person, user]));
    return found.map((person) => (person === undefined ? null : (users.get(person) ?? null)));
  }

  /** `limit` 1 to 200. */
  async list(call: CallContext, search: string | null | undefined, limit: number, includeBots: boolean): Promise<UserType[]> {
    const most = parseInput(limitSchema, limit, 'limit');
    const word = parseInput(z.string().trim().max(256).nullish(), search, 'search');
    const { number } = await this.workspace(call);
    const persons = await this.users.list(number, word || undefined, most, includeBots);
    return (await this.byPersons(call, persons)).filter((user) => user !== null);
  }

  async byPersons(call: CallContext, persons: readonly number[]): Promise<(UserType | null)[]> {
    const { number } = await this.workspace(call);
    const asOf = await this.freshness.asOf();
    const users = await this.users.byPersons(number, persons);
    return users.map((user) => (user ? userTypeOf(user, asOf) : null));
  }

  async sightings(call: CallContext, persons: readonly number[]): Promise<(Sighting | undefined)[]> {
    return this.users.sightings((await this.workspace(call)).number, persons);
  }

  async stats(call: CallContext, persons: readonly number[], includeBots: boolean): Promise<UserStatsType[]> {
    const { number, timeZone } = await this.workspace(call);
    const asOf = await this.freshness.asOf();
    const stats = await this.statsReader.of(number, persons, timeZone, includeBots);
    return stats.map((each) => userStatsTypeOf(each, asOf));
  }

  /** `limit` 1 to 200. */
  async sessions(call: CallContext, persons: readonly number[], limit: number, includeBots: boolean): Promise<SessionType[][]> {
    const most = parseInput(limitSchema, limit, 'limit');
    const { number } = await this.workspace(call);
    const asOf = await this.freshness.asOf();
    const lists = await this.sessionReader.latest(number, persons, most, includeBots);
    return lists.map((sessions) => sessions.map((session) => sessionTypeOf(session, asOf)));
  }

  /** `limit` 1 to 1,000. */
  async journeys(
    call: CallContext,
    persons: readonly number[],
    { limit, includeBots, ...given }: JourneyQuestion,
  ): Promise<JourneyStep[][]> {
    const most = parseInput(stepsSchema, limit, 'limit');
    const { number, timeZone } = await this.workspace(call);
    const journeys = await this.journeyReader.of(number, persons, timeRangeOf(given, timeZone), most, includeBots);
    return journeys.map((steps) => steps.map(journeyStepOf));
  }

  private workspace(call: CallContext): Promise<Workspace> {
    return this.workspaces.get(call.workspaceId);
  }
}
