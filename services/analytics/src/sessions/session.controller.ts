import { Controller, Get, Param, Query } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { type CallContext, CurrentCall, parseInput, RequireScope } from '@pca/service-kit';
import { z } from 'zod';
import { includeBotsText } from '../questions/query-texts.js';
import { UserService } from '../users/user.service.js';
import { SessionService } from './session.service.js';
import { sessionAnswerOf } from './session.types.js';

const querySchema = z.strictObject({ includeBots: includeBotsText });

@Controller('v1/analytics/sessions')
@RequireScope('analytics:read')
export class SessionController {
  constructor(
    private readonly sessions: SessionService,
    private readonly users: UserService,
  ) {}

  @Get(':id')
  async find(@CurrentCall() call: CallContext, @Param('id') id: string, @Query() query: Record<string, unknown>): Promise<object> {
    const { includeBots } = parseInput(querySchema, { ...query });
    const session = await this.sessions.byId(call, id, includeBots);
    if (!session) throw new DomainError('NOT_FOUND', 'No such session in this workspace', { id });
    const [user] = session.person === null ? [] : await this.users.byPersons(call, [session.person]);
    return sessionAnswerOf(session, user?.id ?? null);
  }
}
