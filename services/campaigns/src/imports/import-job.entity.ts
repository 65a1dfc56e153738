import { Column, Entity, PrimaryColumn } from 'typeorm';

export const importStates = ['READING', 'MERGING', 'DONE', 'FAILED'] as const;
export type ImportState = (typeof importStates)[number];

@Entity('import_job')
export class ImportJob {
  @PrimaryColumn('uuid') id: string;
  @Column('text', { name: 'workspace_id' }) workspaceId: string;
  @Column('text') actor: string;
  @Column('text') state: ImportState;
  @Column('jsonb') options: object;
  /** An ImportReport. */
  @Column('jsonb') report: object;
  @Column('timestamptz', { name: 'created_at' }) createdAt: Date;
  /** Moves while the job is alive; a job whose process died stands still and is declared failed. */
  @Column('timestamptz', { name: 'heartbeat_at' }) heartbeatAt: Date;
  @Column('timestamptz', { name: 'ended_at', nullable: true }) endedAt: Date | null;
}
