import { z } from 'zod';
import { defineEvent } from './define-event.js';
import { workspaceIdSchema } from './envelope.js';

export const campaignsTopic = 'campaigns.events.v1';

const micros = z.int().nonnegative().describe('Integer millionths of one unit');
const day = z.iso.date();

/** A campaign as others see it. Money is in micros of `currency`. */
export const campaignSnapshotSchema = z.object({
  id: z.uuid(),
  externalId: z.string().nullable().describe("The platform's own id, when the campaign came with an import"),
  name: z.string(),
  platform: z.string().describe('Canonical name, such as Google or Meta'),
  status: z.enum(['DRAFT', 'ACTIVE', 'PAUSED', 'ENDED']),
  objective: z.string().nullable(),
  vertical: z.string().nullable(),
  currency: z.string().length(3).describe('ISO 4217'),
  dailyBudgetMicros: micros.nullable(),
  startDate: day,
  endDate: day.nullable(),
  version: z.int().positive(),
});

const byCampaign = (payload: { campaign: { id: string } }) => payload.campaign.id;

export const campaignCreated = defineEvent({
  type: 'campaign.created.v1',
  topic: campaignsTopic,
  producer: 'campaigns',
  description: 'A campaign was created, by hand or by an import.',
  schema: z.object({ campaign: campaignSnapshotSchema, actor: z.string() }),
  key: byCampaign,
});

export const campaignUpdated = defineEvent({
  type: 'campaign.updated.v1',
  topic: campaignsTopic,
  producer: 'campaigns',
  description: 'Fields of a campaign changed; an update that changes nothing is not published.',
  schema: z.object({ campaign: campaignSnapshotSchema, changed: z.array(z.string()).min(1), actor: z.string() }),
  key: byCampaign,
});

export const campaignDeleted = defineEvent({
  type: 'campaign.deleted.v1',
  topic: campaignsTopic,
  producer: 'campaigns',
  description: 'A campaign was deleted; its performance no longer counts in lists and totals.',
  schema: z.object({ campaignId: z.uuid(), version: z.int().positive(), actor: z.string() }),
  key: (payload) => payload.campaignId,
});

export const performanceRecorded = defineEvent({
  type: 'campaign.performance-recorded.v1',
  topic: campaignsTopic,
  producer: 'campaigns',
  description: 'Days of a campaign were recorded or restated. `days` are the sums of each changed day after the change.',
  schema: z.object({
    campaignId: z.uuid(),
    currency: z.string().length(3),
    days: z
      .array(
        z.object({
          date: day,
          impressions: z.int().nonnegative(),
          clicks: z.int().nonnegative(),
          spendMicros: micros,
          conversionsMicros: micros,
          conversionValueMicros: micros,
        }),
      )
      .min(1)
      .max(1000),
    actor: z.string(),
  }),
  key: (payload) => payload.campaignId,
});

export const workspaceUpdated = defineEvent({
  type: 'workspace.updated.v1',
  topic: campaignsTopic,
  producer: 'campaigns',
  description: 'A workspace was created or its settings changed; others keep them as a projection.',
  schema: z.object({
    workspace: z.object({
      id: workspaceIdSchema,
      name: z.string(),
      timeZone: z.string().describe('IANA name'),
      firstDayOfWeek: z.int().min(1).max(7).describe('ISO: 1 is Monday'),
      reportingCurrency: z.string().length(3),
      ipPolicy: z.enum(['DROP', 'TRUNCATE', 'HASH']),
    }),
  }),
  key: (payload) => payload.workspace.id,
});
