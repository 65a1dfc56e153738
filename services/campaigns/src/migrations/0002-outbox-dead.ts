import { outboxTableSql } from '@pca/outbox';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A database that was made before rows of the outbox could die gets the table for them; one that was made since has it. */
export class OutboxDead1764100000000 implements MigrationInterface {
  name = 'OutboxDead1764100000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(outboxTableSql);
  }

  down(): Promise<void> {
    return Promise.resolve();
  }
}
