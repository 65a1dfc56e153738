import { Column, Entity, PrimaryColumn } from 'typeorm';

export const ipPolicies = ['DROP', 'TRUNCATE', 'HASH'] as const;
export type IpPolicy = (typeof ipPolicies)[number];

/** Settings that other services keep as a projection of workspace.updated. */
@Entity('workspace')
export class Workspace {
  @PrimaryColumn('text') id: string;
  @Column('text') name: string;
  @Column('text', { name: 'time_zone' }) timeZone: string;
  /** ISO: 1 is Monday. */
  @Column('smallint', { name: 'first_day_of_week' }) firstDayOfWeek: number;
  @Column('text', { name: 'reporting_currency' }) reportingCurrency: string;
  @Column('text', { name: 'ip_policy' }) ipPolicy: IpPolicy;
}

/** What a workspace is until somebody says otherwise. */
export const newWorkspace = (id: string): Workspace => ({
  id,
  name: id,
  timeZone: 'UTC',
  firstDayOfWeek: 1,
  reportingCurrency: 'USD',
  ipPolicy: 'DROP',
});
