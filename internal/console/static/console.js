'use strict';
// The pages work without this file; it adds the viewer's time zone, copies, and loads what is live.

// Times: the server writes UTC, the viewer reads the own zone.
function localTimes(root) {
  const shown = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  const second = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });
  for (const t of root.querySelectorAll('time[datetime]')) {
    const at = new Date(t.dateTime);
    if (!isNaN(at)) { t.textContent = (t.hasAttribute('data-exact') ? second : shown).format(at); t.title = exact.format(at); }
  }
}

// Login: the code stands behind the #. It leaves the address, so that it is in no history.
function login() {
  const form = document.getElementById('login');
  const code = location.hash.slice(1);
  if (!form || !code) return;
  history.replaceState(null, '', location.pathname);
  form.elements.code.value = code;
  form.requestSubmit();
}

// A button that ends something waits for the name.
function confirmations() {
  for (const input of document.querySelectorAll('input[data-confirm]')) {
    const button = input.form.querySelector('button');
    const look = () => { button.disabled = input.value !== input.dataset.confirm; };
    input.addEventListener('input', look);
    look();
  }
}

function copies() {
  for (const button of document.querySelectorAll('button[data-copy]')) {
    button.addEventListener('click', async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = 'Selected';
      }
    });
  }
}

// The form of a new client shows what its kind needs.
function kinds() {
  const radios = document.querySelectorAll('input[name=kind]');
  const look = () => {
    const kind = document.querySelector('input[name=kind]:checked')?.value;
    for (const part of document.querySelectorAll('[data-kind]')) part.hidden = !part.dataset.kind.split(' ').includes(kind);
  };
  for (const r of radios) r.addEventListener('change', look);
  if (radios.length) look();
}

// page asks for a page in the background. Such a request does not prolong the session.
async function page(url) {
  const answer = await fetch(url, { headers: { 'X-Console-Poll': '1' }, credentials: 'same-origin', redirect: 'error' });
  if (!answer.ok) throw new Error(answer.status);
  return new DOMParser().parseFromString(await answer.text(), 'text/html');
}

// Live events: the list is loaded again every few seconds, while the page is looked at.
function live() {
  const button = document.querySelector('button[data-live]');
  if (!button) return;
  const on = () => button.getAttribute('aria-pressed') === 'true';
  button.addEventListener('click', () => button.setAttribute('aria-pressed', String(!on())));
  setInterval(async () => {
    const list = document.querySelector(button.dataset.live);
    if (!on() || document.hidden || list.contains(document.activeElement) || !getSelection().isCollapsed) return;
    try {
      const fresh = (await page(location.href)).querySelector(button.dataset.live);
      localTimes(fresh);
      if (fresh.innerHTML !== list.innerHTML) list.replaceChildren(...fresh.childNodes);
    } catch { button.setAttribute('aria-pressed', 'false'); }
  }, 3000);
}

// A search that found nothing yet goes on by itself.
async function searchOn() {
  const list = document.querySelector('[data-continue]');
  for (let next = list?.dataset.continue; next;) {
    let fresh;
    try { fresh = await page(next); } catch { return; }
    document.querySelector('main').replaceChildren(...fresh.querySelector('main').childNodes);
    history.replaceState(null, '', next);
    localTimes(document);
    next = document.querySelector('[data-continue]')?.dataset.continue;
  }
}

localTimes(document);
login();
addEventListener('hashchange', login); // the link was opened where its page is open already
confirmations();
copies();
kinds();
live();
searchOn();
