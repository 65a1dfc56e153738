import { readFile } from 'node:fs/promises';
import { Controller, Get, Req, Res } from '@nestjs/common';
import { DomainError } from '@pca/errors';
import { Public, type ServiceRequest } from '@pca/service-kit';
import type { FastifyReply } from 'fastify';
import { pageHeaders } from '../edge/security-headers.js';
import type { ServiceStates } from '../upstreams/service-states.js';
import { docsPage, graphiqlPage } from './tool-pages.js';
import { type HomeLink, homePage } from './home-page.js';

export interface PageOptions {
  graphiql: boolean;
  /** With the local issuer only: the token that GraphiQL and the REST reference start with. */
  localTokenFile: string | undefined;
  openapiFile: string;
}

/** What PagesController shows; a class, so that Nest can hand it over. */
export class PageContents {
  constructor(
    readonly options: PageOptions,
    readonly states: ServiceStates,
  ) {}
}

const links: readonly HomeLink[] = [
  { href: '/graphql', title: 'GraphiQL', text: 'Ask the graph' },
  { href: '/docs', title: 'REST API', text: 'Reference, ready to try' },
  { href: '/openapi.json', title: 'OpenAPI', text: 'For generators' },
  { href: '/health/ready', title: 'Readiness', text: 'What is not ready' },
  { href: '/metrics', title: 'Metrics', text: 'For Prometheus' },
];

@Controller()
@Public()
export class PagesController {
  constructor(private readonly contents: PageContents) {}

  @Get('/')
  async home(@Res() reply: FastifyReply): Promise<void> {
    const shown = this.contents.options.graphiql ? links : links.filter(({ href }) => href !== '/graphql');
    this.page(reply, homePage(shown, await this.contents.states.all()));
  }

  /** GraphiQL for a browser; everything else has to POST. */
  @Get('/graphql')
  async graphiql(@Req() request: ServiceRequest, @Res() reply: FastifyReply): Promise<void> {
    if (!this.contents.options.graphiql || !request.headers.accept?.includes('text/html')) {
      reply.header('allow', 'POST');
      throw new DomainError('METHOD_NOT_ALLOWED', 'Operations are sent with POST');
    }
    this.page(reply, graphiqlPage(await this.localToken()));
  }

  @Get('/docs')
  async docs(@Res() reply: FastifyReply): Promise<void> {
    this.page(reply, docsPage(await this.localToken()));
  }

  /** The document as generated; its server is the gateway that it came from. */
  @Get('/openapi.json')
  async openapi(@Res() reply: FastifyReply): Promise<void> {
    const text = await textOf(this.contents.options.openapiFile);
    if (text === undefined) throw new DomainError('NOT_FOUND', 'There is no OpenAPI document; "npm run gen" makes it');
    const document = JSON.parse(text) as Record<string, unknown>;
    void reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify({ ...document, servers: [{ url: '/' }] }));
  }

  /** Read every time: the supervisor renews it. */
  private async localToken(): Promise<string | undefined> {
    const { localTokenFile } = this.contents.options;
    return localTokenFile && (await textOf(localTokenFile))?.trim();
  }

  private page(reply: FastifyReply, html: string): void {
    void reply.headers(pageHeaders).header('content-type', 'text/html; charset=utf-8').send(html);
  }
}

const textOf = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};
