import type { ServiceState } from '../upstreams/service-states.js';
import { escapeHtml, htmlPage } from './html.js';

export interface HomeLink {
  href: string;
  title: string;
  text: string;
}

const refreshSeconds = 10;

const serviceRow = ({ name, state, notReady }: ServiceState): string =>
  `<tr><td>${escapeHtml(name)}</td><td><span class="state ${state.replace(' ', '-')}">${state}</span></td><td>${escapeHtml(notReady.join(', '))}</td></tr>`;

const card = ({ href, title, text }: HomeLink): string =>
  `<a class="card" href="${escapeHtml(href)}"><strong>${escapeHtml(title)}</strong><span>${escapeHtml(text)}</span></a>`;

/** The front page: where to go, and how each service is. It loads itself again, so that it needs no script. */
export const homePage = (links: readonly HomeLink[], services: readonly ServiceState[]): string =>
  htmlPage({
    title: 'PCA Agent',
    head: `<meta http-equiv="refresh" content="${refreshSeconds}">\n<link rel="stylesheet" href="/assets/home.css">`,
    body: `<main>
<h1>PCA Agent</h1>
<p class="lead">Performance campaign analytics: one graph over campaigns and their performance.</p>
<nav>${links.map(card).join('')}</nav>
<h2>Services</h2>
<table>
<thead><tr><th>Service</th><th>State</th><th>Waits for</th></tr></thead>
<tbody>${services.map(serviceRow).join('')}</tbody>
</table>
</main>`,
  });
