/**
 * Dealpay in amoCRM and Kommo: shows the payment card beside a lead, and the settings on the widget's own page.
 * Everything of substance happens in a frame of the application. This script only asks for a short session with the
 * one-time token that $authorizedAjax adds, and hands it to the frame by messages between two exact origins.
 */
define(['jquery'], function ($) {
  'use strict';

  var APP_URL = __APP_URL__;
  var PRODUCT = __PRODUCT__;
  var APP_ORIGIN = new URL(APP_URL).origin;
  var REQUEST_MS = 20000;
  var READY_MS = 20000; // a frame that says nothing for so long did not load
  var RENEWALS = 3; // sessions that one panel may renew within RENEWAL_MS
  var RENEWAL_MS = 60000;
  var HEIGHT = {card: 320, settings: 640};

  var lastHeight = {card: HEIGHT.card, settings: HEIGHT.settings}; // the skeleton takes the height of the page before

  /** The CRM's global object: APP in Kommo, AMOCRM (and APP) in amoCRM. */
  function crm() {
    return window.APP || window.AMOCRM || {};
  }

  /** The id of the open lead, "" outside a card and in a lead that is not saved yet. */
  function currentLead() {
    var card = (crm().data || {}).current_card;
    return card && Number(card.id) > 0 ? String(card.id) : '';
  }

  function currentLang() {
    return String(crm().lang_id || document.documentElement.lang || 'en').slice(0, 2).toLowerCase();
  }

  /** What an answer of the session request means; each has its own three sentences. */
  function reason(xhr) {
    var status = (xhr && xhr.status) || 0;
    var code = ((xhr && xhr.responseJSON) || {}).code;
    if (status === 409 && code === 'not_connected') return 'not_connected';
    if (status === 401) return 'token';
    if (status === 403 || status === 404) return 'rights';
    if (status === 429 || status === 503) return 'busy';
    return status === 0 ? 'network' : 'server';
  }

  /** The address of a page of the application, or "" when it is not the application's. */
  function appPage(address) {
    try {
      var url = new URL(address, APP_URL);
      return address && url.origin === APP_ORIGIN ? url.href : '';
    } catch (e) {
      return '';
    }
  }

  function Widget() {
    var self = this;
    var panels = [];

    function settings() {
      return (self.get_settings && self.get_settings()) || {};
    }

    function widgetCode() {
      return settings().widget_code || (self.params || {}).widget_code || '';
    }

    function word(key) {
      var words = self.i18n && self.i18n('dealpay');
      if (!words || typeof words !== 'object') words = (self.langs || {}).dealpay || {};
      return words[key] || key;
    }

    function style() {
      var path = settings().path || (self.params || {}).path;
      if (!path || document.getElementById('dealpay-style')) return;
      $('<link>', {id: 'dealpay-style', rel: 'stylesheet', href: path + '/style.css?v=' + encodeURIComponent(settings().version || '')})
        .appendTo('head');
    }

    /** Opens the settings page beside the card, because a lead may hold changes that are not saved. */
    function openSettings() {
      var address = '/settings/widgets/' + encodeURIComponent(widgetCode()) + '/';
      if (!window.open(address, '_blank')) window.location.assign(address);
    }

    /** Asks for a session. A token that was refused is asked for anew once. */
    function openSession(page, deal, again) {
      return new Promise(function (resolve, reject) {
        if (typeof self.$authorizedAjax !== 'function') return reject({status: 500});
        self.$authorizedAjax({
          url: APP_URL + '/api/v1/session',
          method: 'POST',
          contentType: 'application/json',
          dataType: 'json',
          data: JSON.stringify(page === 'card' ? {page: page, deal_id: deal} : {page: page}),
          timeout: REQUEST_MS
        }).then(function (answer) { // a Deferred: only its first value is handed on
          resolve(answer);
        }, function (xhr) {
          if (reason(xhr) === 'token' && !again) openSession(page, deal, true).then(resolve, reject);
          else reject(xhr);
        });
      });
    }

    function button(key, act, main) {
      return $('<button>', {type: 'button', 'class': 'dealpay__action' + (main ? ' dealpay__action--main' : ''), text: word(key)})
        .on('click.dealpay', act);
    }

    function connectLink() {
      return $('<a>', {'class': 'dealpay__action dealpay__action--main', href: APP_URL + '/' + PRODUCT + '/connect',
        target: '_blank', rel: 'noopener noreferrer', text: word('connect')});
    }

    /** A message of three short parts: what happened, why, what to do. */
    function message(name, actions) {
      var panel = $('<div>', {'class': 'dealpay__message', role: 'alert'});
      ['what', 'why', 'todo'].forEach(function (part) {
        panel.append($('<p>', {'class': 'dealpay__' + part, text: word(name + '_' + part)}));
      });
      return panel.append($('<div>', {'class': 'dealpay__actions'}).append(actions));
    }

    function skeleton(page) {
      var bones = $('<div>', {'class': 'dealpay__skeleton', 'aria-hidden': 'true'}).css('height', lastHeight[page] + 'px');
      ['--short', '', '--wide', '', '--short', ''].forEach(function (kind) {
        bones.append($('<div>', {'class': 'dealpay__bone' + (kind && ' dealpay__bone' + kind)}));
      });
      return $('<div>').append($('<span>', {'class': 'dealpay__unseen', role: 'status', text: word('loading')}), bones);
    }

    /** A panel is one frame of the application in root, for one deal. */
    function Panel(root, page, deal) {
      var frame = null; // jQuery object, once the session is there
      var session = null;
      var renewals = [];
      var asking = false;
      var closed = false;
      var watchdog = 0;

      function fail(name) {
        clear();
        var retry = button(name === 'not_connected' ? 'again' : 'retry', start, name !== 'not_connected');
        root.empty().append(message(name, name === 'not_connected' ? [connectLink(), retry] : [retry]));
      }

      function clear() {
        clearTimeout(watchdog);
        frame = session = null;
      }

      function ask(done, failed) {
        asking = true;
        openSession(page, deal).then(function (answer) {
          asking = false;
          if (closed) return;
          if (!answer || !answer.session) return failed('server');
          session = answer;
          done();
        }, function (xhr) {
          asking = false;
          if (!closed) failed(reason(xhr));
        });
      }

      function start() {
        if (asking || closed) return;
        clear();
        root.empty().append(skeleton(page));
        ask(mount, fail);
      }

      function mount() {
        var address = appPage(page === 'card' ? session.card_url : session.settings_url);
        if (!address) return fail('server');
        frame = $('<iframe>', {'class': 'dealpay__frame dealpay__frame--waiting', title: word(page + '_title'), src: address,
          allow: 'clipboard-write', referrerpolicy: 'strict-origin'}).css('height', lastHeight[page] + 'px');
        root.empty().append($('<div>', {'class': 'dealpay__stage'}).append(skeleton(page), frame));
        watchdog = setTimeout(function () { fail('network'); }, READY_MS);
      }

      function send() {
        var to = frame && frame[0].contentWindow;
        if (!to) return;
        var said = {type: 'dealpay:session', session: session.session, expires_at: session.expires_at, lang: currentLang()};
        if (page === 'card') said.deal_id = deal;
        to.postMessage(said, APP_ORIGIN);
      }

      function reveal() {
        clearTimeout(watchdog);
        root.find('.dealpay__stage').children().not(frame).remove();
        frame.removeClass('dealpay__frame--waiting');
      }

      /** A passing trouble leaves the page as it is: it says itself that it is offline, with what it last knew. */
      function lose(name) {
        if (name === 'not_connected' || name === 'rights' || name === 'token') fail(name);
      }

      /** A session that is refused again and again is not renewed for ever. */
      function renew() {
        var now = Date.now();
        if (asking) return;
        renewals = renewals.filter(function (at) { return now - at < RENEWAL_MS; });
        if (renewals.length >= RENEWALS) return fail('server');
        renewals.push(now);
        ask(send, lose);
      }

      var heard = {
        'dealpay:ready': function () {
          reveal();
          if (Date.parse(session.expires_at) <= Date.now()) renew();
          else send();
        },
        'dealpay:resize': function (said) {
          var height = Math.ceil(Number(said.height));
          if (!(height > 0 && height <= 20000)) return;
          lastHeight[page] = Math.max(height, 80);
          frame.css('height', lastHeight[page] + 'px');
        },
        'dealpay:session-expired': renew,
        'dealpay:open-settings': openSettings
      };

      function hear(event) {
        if (closed || !frame || event.origin !== APP_ORIGIN || event.source !== frame[0].contentWindow) return;
        var said = event.data;
        if (said && typeof said === 'object' && Object.prototype.hasOwnProperty.call(heard, said.type)) heard[said.type](said);
      }

      window.addEventListener('message', hear);
      start();

      this.close = function () {
        closed = true;
        clear();
        window.removeEventListener('message', hear);
        root.empty();
      };
    }

    function show(root, page, deal) {
      style();
      panels.push(new Panel(root, page, deal));
    }

    function closeAll() {
      panels.splice(0).forEach(function (panel) { panel.close(); });
    }

    /** Says in the settings window whether the account is connected, and how to connect it. */
    function showConnection(root) {
      style();
      root.empty().append(skeleton('card').children().first());
      openSession('settings').then(function () {
        root.empty().append($('<div>', {'class': 'dealpay__message dealpay__message--good', role: 'status'}).append(
          $('<p>', {'class': 'dealpay__what', text: word('connected')}),
          $('<div>', {'class': 'dealpay__actions'}).append(button('open_settings', openSettings, true))));
      }, function (xhr) {
        var name = reason(xhr);
        var again = button(name === 'not_connected' ? 'again' : 'retry', function () { showConnection(root); });
        root.empty().append(message(name, name === 'not_connected' ? [connectLink(), again] : [again]));
      });
    }

    this.callbacks = {
      render: function () {
        closeAll();
        var area = String(((self.system && self.system()) || {}).area || '');
        if (area.indexOf('lcard') !== 0 && area.indexOf('leads_card') !== 0) return true;
        var deal = currentLead();
        if (!deal) return false;
        self.render_template({
          caption: {class_name: 'dealpay__caption', html: ''},
          body: '',
          render: '<div class="dealpay" data-dealpay="' + Number(deal) + '"></div>'
        });
        return true;
      },

      init: function () {
        var deal = currentLead();
        var root = $('[data-dealpay="' + Number(deal) + '"]').last();
        if (deal && root.length && !panels.length) show(root, 'card', deal);
        return true;
      },

      bind_actions: function () {
        return true;
      },

      settings: function ($body) {
        var code = widgetCode();
        var kept = $('#' + code + '_custom');
        var content = $('#' + code + '_custom_content');
        var root = $('<div>', {'class': 'dealpay'}).appendTo(content.length ? content : $body);
        if (kept.length && !kept.val()) kept.val('{"v":1}').trigger('change'); // without a value there is no Save
        showConnection(root);
        return true;
      },

      /** Nothing is kept in the CRM: saving and switching off always succeed. */
      onSave: function () {
        return true;
      },

      advancedSettings: function () {
        closeAll();
        var area = $('#work-area-' + widgetCode());
        if (!area.length) area = $('#list_page_holder');
        show($('<div>', {'class': 'dealpay'}).appendTo(area.empty()), 'settings', '');
        return true;
      },

      destroy: function () {
        closeAll();
        return true;
      }
    };

    return this;
  }

  return Widget;
});
