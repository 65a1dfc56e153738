import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Name of a field to its value before and after. */
export type FieldChanges = Record<string, { before: unknown; after: unknown }>;

/** Who changed what: one row for each write that changed something, with the value before and after of each field. */
@Entity('audit_entry')
export class AuditEntry {
  @PrimaryColumn('uuid') id: string;
  @Column('text', { name: 'workspace_id' }) workspaceId: string;
  @Column('text', { name: 'entity_type' }) entityType: string;
  @Column('text', { name: 'entity_id' }) entityId: string;
  @Column('text') action: string;
  @Column('text') actor: string;
  @Column('text', { name: 'correlation_id' }) correlationId: string;
  /** FieldChanges; TypeORM's types cannot follow values that are unknown. */
  @Column('jsonb') changes: object;
  @Column('timestamptz') at: Date;
}
