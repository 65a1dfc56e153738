// The set-up that Nest's documentation shows: ApolloGatewayDriver and RemoteGraphQLDataSource, nothing else. Only the token is handed on,
// as the subgraphs want one. No authentication, limits, metrics or security headers, so that it does less than what it is compared with.
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { RemoteGraphQLDataSource } from '@apollo/gateway';
import { ApolloGatewayDriver } from '@nestjs/apollo';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule } from '@nestjs/graphql';
import { FastifyAdapter } from '@nestjs/platform-fastify';

class WithToken extends RemoteGraphQLDataSource {
  willSendRequest({ request, context }) {
    request.http.headers.set('authorization', context.req.headers.authorization);
  }
}

class StockModule {}
Module({
  imports: [
    GraphQLModule.forRoot({
      driver: ApolloGatewayDriver,
      server: { path: '/graphql', playground: false, graphiql: false },
      gateway: { supergraphSdl: readFileSync(process.env.SUPERGRAPH_FILE, 'utf8'), buildService: ({ url }) => new WithToken({ url }) },
    }),
  ],
})(StockModule);

const app = await NestFactory.create(StockModule, new FastifyAdapter(), { logger: ['error'] });
await app.listen(Number(process.env.PORT), '127.0.0.1');
