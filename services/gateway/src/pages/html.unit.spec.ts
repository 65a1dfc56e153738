import { expect, it } from 'vitest';
import { homePage } from './home-page.js';
import { docsPage, graphiqlPage } from './tool-pages.js';

const nasty = `"><script>alert('1')</script>&`;

it('shows what it is given as text, wherever it stands', () => {
  const pages = [
    homePage([{ href: nasty, title: nasty, text: nasty }], [{ name: nasty, state: 'not ready', notReady: [nasty] }]),
    graphiqlPage(nasty),
    docsPage(nasty),
  ];
  for (const page of pages) {
    expect(page).not.toContain('<script>');
    expect(page).toContain('&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;');
  }
});

it('has no script and no style in the page itself, and nothing from elsewhere', () => {
  for (const page of [homePage([], []), graphiqlPage('t'), docsPage('t')]) {
    expect(page).not.toMatch(/<script(?![^>]* src="\/assets\/)|<style| style=| on\w+=|https?:/);
  }
});
