import { Controller, Get, Param, Query } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { type CallContext, CurrentCall, parseInput, RequireScope } from '@pca/service-kit';
import { z } from 'zod';
import { Freshness } from '../freshness/freshness.service.js';
import { includeBotsText, limitText, rangeTexts, stepsText } from '../questions/query-texts.js';
import { sessionAnswerOf } from '../sessions/session.types.js';
import { UserService } from './user.service.js';
import { userAnswerOf, type UserType } from './user.types.js';

const userQuerySchema = z.strictObject({ includeBots: includeBotsText });
const sessionsQuerySchema = userQuerySchema.extend({ limit: limitText });
const listQuerySchema = sessionsQuerySchema.extend({ search: z.string().optional() });
const journeyQuerySchema = userQuerySchema.extend({ ...rangeTexts, limit: stepsText });

@Controller('v1/analytics/users')
@RequireScope('analytics:read')
export class UserController {
  constructor(
    private readonly service: UserService,
    private readonly freshness: Freshness,
  ) {}

  @Get()
  async list(@CurrentCall() call: CallContext, @Query() query: Record<string, unknown>): Promise<object> {
    const { search, limit, includeBots } = parseInput(listQuerySchema, { ...query });
    const asOf = await this.freshness.asOf();
    const users = await this.service.list(call, search, limit, includeBots);
    const persons = users.map(({ person }) => person);
    const sightings = await this.service.sightings(call, persons);
    return { users: users.map((user, index) => userAnswerOf(user, sightings[index])), asOf };
  }

  @Get(':id')
  async find(@CurrentCall() call: CallContext, @Param('id') id: string, @Query() query: Record<string, unknown>): Promise<object> {
    const { includeBots } = parseInput(userQuerySchema, { ...query });
    const user = await this.existing(call, id);
    const [sighting] = await this.service.sightings(call, [user.person]);
    const [stats] = await this.service.stats(call, [user.person], includeBots);
    return { ...userAnswerOf(user, sighting), stats };
  }

  @Get(':id/sessions')
  async sessions(@CurrentCall() call: CallContext, @Param('id') id: string, @Query() query: Record<string, unknown>): Promise<object> {
    const { limit, includeBots } = parseInput(sessionsQuerySchema, { ...query });
    const user = await this.existing(call, id);
    const [sessions = []] = await this.service.sessions(call, [user.person], limit, includeBots);
    return { sessions: sessions.map((session) => sessionAnswerOf(session, user.id)), asOf: user.asOf };
  }

  @Get(':id/journey')
  async journey(@CurrentCall() call: CallContext, @Param('id') id: string, @Query() query: Record<string, unknown>): Promise<object> {
    const question = parseInput(journeyQuerySchema, { ...query });
    const user = await this.existing(call, id);
    const [journey = []] = await this.service.journeys(call, [user.person], question);
    return { journey, asOf: user.asOf };
  }

  private async existing(call: CallContext, id: string): Promise<UserType> {
    const user = await this.service.byId(call, id);
    if (!user) throw new DomainError('NOT_FOUND', 'Nobody in this workspace has this id', { id });
    return user;
  }
}
