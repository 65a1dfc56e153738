import { registerEnumType } from '@nestjs/graphql';

export const IntervalEnum = { DAY: 'DAY', WEEK: 'WEEK', MONTH: 'MONTH' } as const;
registerEnumType(IntervalEnum, {
  name: 'Interval',
  description: 'Width of a bucket; weeks start on the first day of the week of the workspace',
});
