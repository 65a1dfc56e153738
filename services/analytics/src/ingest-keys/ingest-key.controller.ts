import { Body, Controller, Get, Header, HttpCode, Param, Post } from '@nestjs/common';
import { type CallContext, CurrentCall, parseInput, RequireScope } from '@pca/service-kit';
import { z } from 'zod';
import { IngestKeyService } from './ingest-key.service.js';
import { type IngestKeyType, ingestKeyTypeOf, type MadeIngestKeyType, madeTypeOf } from './ingest-key.types.js';

const createBodySchema = z.strictObject({ name: z.string() });
const rotateBodySchema = z.strictObject({ overlapHours: z.number().default(24) });

/** A key is in the answer that made it and nowhere else, so nobody on the way may keep that. */
const UnkeptAnswer = (): MethodDecorator => Header('cache-control', 'no-store');

@Controller('v1/analytics/ingest-keys')
@RequireScope('workspace:admin')
export class IngestKeyController {
  constructor(private readonly service: IngestKeyService) {}

  @Get()
  async list(@CurrentCall() call: CallContext): Promise<object> {
    return { ingestKeys: (await this.service.list(call)).map(ingestKeyTypeOf) };
  }

  @Post()
  @UnkeptAnswer()
  async create(@CurrentCall() call: CallContext, @Body() body: unknown): Promise<MadeIngestKeyType> {
    return madeTypeOf(await this.service.create(call, parseInput(createBodySchema, body)));
  }

  @Post(':id/rotate')
  @UnkeptAnswer()
  async rotate(@CurrentCall() call: CallContext, @Param('id') id: string, @Body() body: unknown): Promise<MadeIngestKeyType> {
    const { overlapHours } = parseInput(rotateBodySchema, body ?? {});
    return madeTypeOf(await this.service.rotate(call, id, overlapHours));
  }

  @Post(':id/revoke')
  @HttpCode(200)
  async revoke(@CurrentCall() call: CallContext, @Param('id') id: string): Promise<IngestKeyType> {
    return ingestKeyTypeOf(await this.service.revoke(call, id));
  }
}
