import { Directive, Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { DateScalar } from '../performance/date.scalar.js';
import { deriveMetrics } from '../performance/metrics-sums.js';
import { MetricFields } from '../performance/metrics.types.js';
import { type Campaign, campaignStatuses, type CampaignStatus } from './campaign.js';
import { orderFields, type OrderDirection, type OrderField } from './campaign-order.js';

const enumOf = <T extends string>(values: readonly T[]): Record<T, T> =>
  Object.fromEntries(values.map((value) => [value, value])) as Record<T, T>;
const CampaignStatusEnum = enumOf(campaignStatuses);
const OrderFieldEnum = enumOf(orderFields);
const OrderDirectionEnum = enumOf(['ASC', 'DESC'] as const);
registerEnumType(CampaignStatusEnum, { name: 'CampaignStatus' });
registerEnumType(OrderFieldEnum, { name: 'CampaignOrderField' });
registerEnumType(OrderDirectionEnum, { name: 'OrderDirection' });

@ObjectType('Campaign', { description: 'A campaign; its numbers are those of its whole life, or of the days that the filter names' })
@Directive('@key(fields: "id")')
export class CampaignType extends MetricFields {
  @Field(() => ID) id: string;
  @Field(() => String, { nullable: true, description: "The platform's own id, when it came with an import" }) externalId: string | null;
  @Field() name: string;
  @Field({ description: 'Canonical name, such as Google or Meta' }) platform: string;
  @Field(() => CampaignStatusEnum) status: CampaignStatus;
  @Field(() => String, { nullable: true }) objective: string | null;
  @Field(() => String, { nullable: true }) vertical: string | null;
  @Field({ description: 'ISO 4217; every amount of this campaign is in it' }) currency: string;
  @Field(() => Float, { nullable: true }) dailyBudget: number | null;
  @Field(() => DateScalar) startDate: string;
  @Field(() => DateScalar, { nullable: true }) endDate: string | null;
  @Field(() => Int, { description: 'Send it as expectedVersion with an update' }) version: number;
  @Field({ description: 'ISO 8601 instant' }) createdAt: string;
  @Field({ description: 'ISO 8601 instant' }) updatedAt: string;
}

export const campaignTypeOf = ({ sums, dailyBudgetMicros, ...rest }: Campaign): CampaignType => ({
  ...rest,
  dailyBudget: dailyBudgetMicros === null ? null : dailyBudgetMicros / 1_000_000,
  ...deriveMetrics(sums),
});

@InputType({ description: 'All conditions must hold; amounts compare in the currency of each campaign' })
export class CampaignFilter {
  @Field(() => [ID], { nullable: true }) ids?: string[];
  @Field(() => String, { nullable: true, description: 'By any of its names, without case' }) platform?: string;
  @Field(() => CampaignStatusEnum, { nullable: true }) status?: CampaignStatus;
  @Field(() => String, { nullable: true }) objective?: string;
  @Field(() => String, { nullable: true }) vertical?: string;
  @Field(() => String, { nullable: true }) currency?: string;
  @Field(() => String, { nullable: true, description: 'Part of the name, without case' }) search?: string;
  @Field(() => DateScalar, { nullable: true, description: 'Numbers are summed from this day on' }) from?: string;
  @Field(() => DateScalar, { nullable: true, description: 'Numbers are summed up to and including this day' }) to?: string;
  @Field(() => Float, { nullable: true }) min_spend?: number;
  @Field(() => Float, { nullable: true }) max_spend?: number;
  @Field(() => Float, { nullable: true }) min_ctr?: number;
  @Field(() => Float, { nullable: true }) max_ctr?: number;
  @Field(() => Float, { nullable: true }) min_conversions?: number;
}

@InputType('CampaignOrder')
export class CampaignOrderInput {
  @Field(() => OrderFieldEnum) field: OrderField;
  @Field(() => OrderDirectionEnum, { defaultValue: 'DESC' }) direction: OrderDirection;
}

@InputType()
export class CreateCampaignInput {
  @Field() name: string;
  @Field() platform: string;
  @Field({ description: 'ISO 4217' }) currency: string;
  @Field(() => CampaignStatusEnum, { nullable: true, description: 'DRAFT when absent' }) status?: CampaignStatus;
  @Field(() => String, { nullable: true }) objective?: string;
  @Field(() => String, { nullable: true }) vertical?: string;
  @Field(() => Float, { nullable: true, description: 'In units of the currency' }) dailyBudget?: number;
  @Field(() => DateScalar) startDate: string;
  @Field(() => DateScalar, { nullable: true }) endDate?: string;
  @Field(() => String, { nullable: true, description: 'The same id within 24 hours: the same campaign, made once' })
  clientMutationId?: string;
}

@InputType({ description: 'What is absent stays; null clears what may be empty' })
export class UpdateCampaignInput {
  @Field(() => Int, { description: 'The version that the change was made against; CONFLICT when it is stale' }) expectedVersion: number;
  @Field(() => String, { nullable: true }) name?: string;
  @Field(() => CampaignStatusEnum, { nullable: true }) status?: CampaignStatus;
  @Field(() => String, { nullable: true }) objective?: string | null;
  @Field(() => String, { nullable: true }) vertical?: string | null;
  @Field(() => Float, { nullable: true }) dailyBudget?: number | null;
  @Field(() => DateScalar, { nullable: true }) startDate?: string;
  @Field(() => DateScalar, { nullable: true }) endDate?: string | null;
  @Field(() => String, { nullable: true }) clientMutationId?: string;
}

@ObjectType()
class CampaignEdge {
  @Field(() => CampaignType) node: CampaignType;
  @Field() cursor: string;
}

@ObjectType()
class PageInfo {
  @Field() hasNextPage: boolean;
  @Field(() => String, { nullable: true }) endCursor: string | null;
}

@ObjectType()
export class CampaignConnection {
  @Field(() => [CampaignEdge]) edges: CampaignEdge[];
  @Field(() => PageInfo) pageInfo: PageInfo;
}

@ObjectType({ description: 'One field of a change, as JSON text' })
class FieldChange {
  @Field() field: string;
  @Field(() => String, { nullable: true }) before: string | null;
  @Field(() => String, { nullable: true }) after: string | null;
}

@ObjectType({ description: 'Who changed what' })
export class CampaignChange {
  @Field(() => ID) id: string;
  @Field({ description: 'created, updated or deleted' }) action: string;
  @Field({ description: "The token's subject" }) actor: string;
  @Field({ description: 'ISO 8601 instant' }) at: string;
  @Field(() => [FieldChange]) changes: FieldChange[];
}
