// Plays the CRM's page and our frame around script.js, without a browser: node script_test.js DIR.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const dir = process.argv[2];
const source = fs.readFileSync(path.join(dir, 'script.js'), 'utf8');
const words = JSON.parse(fs.readFileSync(path.join(dir, 'en.json'), 'utf8'));
const APP = 'https://pay.example.com';

// An element and a collection in one: as much of jQuery as a widget needs.
class Node {
  constructor(tag, options = {}) {
    Object.assign(this, {tag, attrs: {}, kids: [], style: {}, handlers: {}, said: '', parent: null, length: 1});
    for (const [name, v] of Object.entries(options)) name === 'text' ? this.text(v) : this.attrs[name] = String(v);
    if (tag === 'iframe') this.contentWindow = {got: [], postMessage(message, origin) { this.got.push({message, origin}); }};
    this[0] = this;
  }
  text(v) { this.said = String(v); return this; }
  words() { return [this.said, ...this.kids.map(k => k.words())].join(' '); }
  css(name, v) { this.style[name] = v; return this; }
  append(...items) {
    items.flat().forEach(item => { item.parent = this; this.kids.push(item); });
    return this;
  }
  appendTo(target) { target.append(this); return this; }
  empty() { this.kids = []; return this; }
  on(name, act) { this.handlers[name.split('.')[0]] = act; return this; }
  trigger() { this.triggered = true; return this; }
  val(v) { if (v === undefined) return this.value || ''; this.value = v; return this; }
  removeClass(name) { this.attrs.class = this.attrs.class.split(' ').filter(c => c !== name).join(' '); return this; }
  all() { return this.kids.flatMap(k => [k, ...k.all()]); }
  find(selector) { return this.all().find(n => (n.attrs.class || '').split(' ').includes(selector.slice(1))) || none; }
  children() {
    const of = this;
    return {first: () => of.kids[0], not: kept => ({remove() { of.kids = of.kids.filter(k => k === kept); }})};
  }
  last() { return this; }
}
const none = new Node('none');
none.length = 0;

const turn = () => new Promise(resolve => setTimeout(resolve, 0));

// world is a page of the CRM with the widget in it; answers are those of the session request, in order.
function world(answers, lead = 77) {
  const w = {requests: [], timers: [], opened: [], listeners: [], head: new Node('head'), panel: null, byID: {}, now: Date.now()};
  const $ = (what, options) => {
    if (what[0] === '<') return new Node(what.replace(/[<>]/g, ''), options);
    if (what.startsWith('[data-dealpay')) return w.panel || none;
    return w.byID[what] || none;
  };
  const window = {
    APP: {data: {current_card: lead === null ? false : {id: lead}}, lang_id: 'ru'},
    addEventListener: (_, act) => w.listeners.push(act),
    removeEventListener: (_, act) => { w.listeners = w.listeners.filter(l => l !== act); },
    open: address => { w.opened.push(address); return {}; },
    location: {},
  };
  let Widget;
  Node.prototype.appendTo = function (target) { (target === 'head' ? w.head : target).append(this); return this; };
  vm.runInNewContext(source, {
    define: (deps, make) => { assert.deepEqual(Array.from(deps), ['jquery']); Widget = make($); },
    window, document: {getElementById: id => w.head.kids.find(k => k.attrs.id === id), documentElement: {}}, URL,
    setTimeout: (act, ms) => { w.timers.push({act, ms}); return w.timers.length; }, clearTimeout: n => { if (n) w.timers[n - 1] = null; },
    Date: class extends Date { static now() { return w.now; } }, encodeURIComponent,
  });
  Widget.prototype = {
    system: () => ({area: 'lcard'}), i18n: section => words[section], get_settings: () => ({widget_code: 'dealpay', path: '/w', version: '1.2.3'}),
    render_template: given => { w.panel = new Node('div'); w.drawn = given; },
    $authorizedAjax: options => {
      w.requests.push(options);
      const answer = answers.shift();
      return answer.session ? Promise.resolve(answer) : Promise.reject(answer);
    },
  };
  w.window = window;
  w.callbacks = new Widget().callbacks;
  w.frame = () => w.panel.find('.dealpay__frame');
  w.say = (data, origin = APP, from = w.frame().contentWindow) => w.listeners.forEach(l => l({data, origin, source: from}));
  w.show = async () => { assert.equal(w.callbacks.render(), true); w.callbacks.init(); w.callbacks.bind_actions(); await turn(); };
  w.press = text => w.panel.all().find(n => n.tag === 'button' && n.said === text).handlers.click();
  return w;
}

const session = n => ({session: 's' + n, card_url: APP + '/card', settings_url: APP + '/settings', expires_at: new Date(Date.now() + 6e5).toISOString()});
const got = w => JSON.parse(JSON.stringify(w.frame().contentWindow.got));

const tests = {
  async 'the session goes to the frame, to its exact origin, after it is ready'() {
    const w = world([session(1)]);
    await w.show();
    assert.equal(w.requests.length, 1);
    assert.equal(w.requests[0].url, APP + '/api/v1/session');
    assert.deepEqual(JSON.parse(w.requests[0].data), {page: 'card', deal_id: '77'});
    assert.equal(w.frame().attrs.src, APP + '/card');
    assert.ok(w.frame().attrs.title);
    assert.deepEqual(got(w), []);
    w.say({type: 'dealpay:ready'});
    assert.equal(got(w).length, 1);
    assert.equal(got(w)[0].origin, APP);
    const said = got(w)[0].message;
    assert.deepEqual([said.type, said.session, said.lang, said.deal_id], ['dealpay:session', 's1', 'ru', '77']);
    assert.ok(w.timers.every(timer => timer === null), 'the watchdog sleeps');
    assert.equal(w.head.kids[0].attrs.href, '/w/style.css?v=1.2.3');
  },
  async 'strangers are not heard'() {
    const w = world([session(1)]);
    await w.show();
    w.say({type: 'dealpay:ready'}, 'https://evil.example');
    w.say({type: 'dealpay:ready'}, APP + '.evil.example');
    w.say({type: 'dealpay:ready'}, APP, {});
    w.say({type: 'toString'});
    w.say('dealpay:ready');
    w.say(null);
    assert.deepEqual(got(w), []);
  },
  async 'the frame says its height and asks for settings'() {
    const w = world([session(1)]);
    await w.show();
    w.say({type: 'dealpay:resize', height: 512.3});
    assert.equal(w.frame().style.height, '513px');
    for (const height of [-1, 'x', 1e9, NaN, undefined]) w.say({type: 'dealpay:resize', height});
    assert.equal(w.frame().style.height, '513px');
    w.say({type: 'dealpay:open-settings'});
    assert.deepEqual(w.opened, ['/settings/widgets/dealpay/']);
  },
  async 'an expired session is renewed, but not for ever'() {
    const w = world([session(1), session(2), session(3), session(4)]);
    await w.show();
    w.say({type: 'dealpay:ready'});
    for (let i = 0; i < 3; i++) {
      w.say({type: 'dealpay:session-expired'});
      w.say({type: 'dealpay:session-expired'}); // one question at a time
      await turn();
    }
    assert.deepEqual(got(w).map(m => m.message.session), ['s1', 's2', 's3', 's4']);
    w.say({type: 'dealpay:session-expired'});
    assert.match(w.panel.words(), new RegExp(words.dealpay.server_what));
    assert.equal(w.requests.length, 4);
  },
  async 'a passing trouble during renewal leaves the card as it is'() {
    const w = world([session(1), {status: 503}, {status: 403}]);
    await w.show();
    w.say({type: 'dealpay:ready'});
    w.say({type: 'dealpay:session-expired'});
    await turn();
    assert.ok(w.frame().length);
    w.say({type: 'dealpay:session-expired'});
    await turn();
    assert.match(w.panel.words(), new RegExp(words.dealpay.rights_what));
  },
  async 'a session that ran out before the frame was ready is not sent'() {
    const w = world([{...session(1), expires_at: '2020-01-01T00:00:00Z'}, session(2)]);
    await w.show();
    w.say({type: 'dealpay:ready'});
    await turn();
    assert.deepEqual(got(w).map(m => m.message.session), ['s2']);
  },
  async 'an account that is not connected gets a link to connect'() {
    const w = world([{status: 409, responseJSON: {code: 'not_connected'}}, session(1)]);
    await w.show();
    const link = w.panel.all().find(n => n.tag === 'a');
    assert.equal(link.attrs.href, APP + '/kommo/connect');
    assert.equal(link.attrs.target, '_blank');
    assert.match(link.attrs.rel, /noopener/);
    w.press(words.dealpay.again);
    await turn();
    assert.ok(w.frame().length);
  },
  async 'every error says what happened, why and what to do'() {
    const errors = {rights: {status: 403}, busy: {status: 429}, network: {status: 0}, server: {status: 500}};
    for (const [name, answer] of Object.entries(errors)) {
      const w = world([answer, session(1)]);
      await w.show();
      for (const part of ['what', 'why', 'todo']) assert.ok(w.panel.words().includes(words.dealpay[`${name}_${part}`]), name + part);
      assert.ok(w.panel.all().some(n => n.attrs.role === 'alert'));
      w.press(words.dealpay.retry);
      await turn();
      assert.ok(w.frame().length, name);
    }
  },
  async 'a refused token is asked for anew once'() {
    const w = world([{status: 401}, session(1)]);
    await w.show();
    await turn();
    assert.ok(w.frame().length);
    const refused = world([{status: 401}, {status: 401}]);
    await refused.show();
    await turn();
    assert.ok(refused.panel.words().includes(words.dealpay.token_what));
  },
  async 'a frame that stays silent is an error with a way out'() {
    const w = world([session(1)]);
    await w.show();
    w.timers.filter(Boolean).forEach(timer => timer.act());
    assert.ok(w.panel.words().includes(words.dealpay.network_what));
  },
  async 'an address outside the application is not framed'() {
    for (const card_url of ['https://evil.example/card', 'javascript:alert(1)', '', undefined]) {
      const w = world([{...session(1), card_url}]);
      await w.show();
      assert.equal(w.frame().length, 0, card_url);
    }
  },
  async 'nothing is drawn in a lead that is not saved'() {
    const w = world([], 0);
    assert.equal(w.callbacks.render(), false);
    assert.equal(w.callbacks.init(), true);
    assert.equal(w.requests.length, 0);
  },
  async 'a late answer for the lead before is thrown away'() {
    const w = world([session(1), session(2)]);
    w.callbacks.render();
    w.callbacks.init();
    const before = w.panel;
    w.callbacks.destroy();
    w.window.APP.data.current_card.id = 78;
    await w.show();
    assert.equal(before.find('.dealpay__frame').length, 0);
    assert.equal(w.listeners.length, 1);
    w.say({type: 'dealpay:ready'});
    assert.deepEqual(got(w).map(m => [m.message.session, m.message.deal_id]), [['s2', '78']]);
  },
  async 'the advanced page shows the settings'() {
    const w = world([session(1)], null);
    w.byID['#work-area-dealpay'] = w.panel = new Node('div');
    assert.equal(w.callbacks.advancedSettings(), true);
    await turn();
    assert.deepEqual(JSON.parse(w.requests[0].data), {page: 'settings'});
    assert.equal(w.frame().attrs.src, APP + '/settings');
    w.say({type: 'dealpay:ready'});
    assert.equal('deal_id' in got(w)[0].message, false);
  },
  async 'the settings window says whether the account is connected, and lets it be saved'() {
    for (const answer of [session(1), {status: 409, responseJSON: {code: 'not_connected'}}]) {
      const w = world([answer]);
      const body = new Node('div');
      w.byID['#dealpay_custom'] = new Node('input');
      w.callbacks.settings(body);
      await turn();
      assert.ok(body.words().includes(answer.session ? words.dealpay.connected : words.dealpay.not_connected_what));
      assert.equal(w.byID['#dealpay_custom'].triggered, true);
      assert.equal(w.callbacks.onSave(), true);
    }
  },
};

(async () => {
  for (const [name, run] of Object.entries(tests)) {
    try {
      await run();
    } catch (e) {
      console.error('FAIL ' + name + '\n' + e.stack);
      process.exitCode = 1;
    }
  }
})();
