// The system Widget object that a script's constructor is built on, and its life:
// render, then init and bind_actions when render returned true, destroy on leaving.
(function () {
  'use strict';
  var $ = window.jQuery;

  function dig(texts, key) {
    return String(key || '').split('.').reduce(function (v, k) { return v == null ? v : v[k]; }, texts);
  }

  // Twig's {{ a.b }} and {{ a|raw }}, which is what small templates need.
  function twig(text, params) {
    return text.replace(/\{\{\s*([\w.]+)\s*(\|\s*(raw|escape))?\s*\}\}/g, function (all, key, filter, name) {
      var v = dig(params || {}, key);
      v = v == null ? '' : String(v);
      return name === 'raw' ? v : v.replace(/[&<>"']/g, function (c) { return '&#' + c.charCodeAt(0) + ';'; });
    });
  }

  var controls = {
    button: '<button type="button" class="button-input {{class_name}}" id="{{id}}">{{text}}</button>',
    input: '<input type="text" class="text-input {{class_name}}" id="{{id}}" name="{{name}}" value="{{value}}" placeholder="{{placeholder}}">',
    textarea: '<textarea class="text-input {{class_name}}" id="{{id}}" name="{{name}}">{{value}}</textarea>',
    checkbox: '<label class="control-checkbox"><input type="checkbox" id="{{id}}" name="{{name}}" value="{{value}}"> {{text}}</label>'
  };

  function base(context) {
    var view = context.widget, settings = Object.assign({}, view.settings), texts = view.texts;
    var widget = { params: settings, langs: texts, code: view.code, actions: {} };
    widget.get_settings = function () { return settings; };
    widget.set_settings = function (more) { Object.assign(settings, more); };
    widget.set_status = function (status) { settings.status = status; };
    widget.i18n = function (key) { var v = dig(texts, key); return v === undefined ? '' : v; };
    widget.set_lang = function (more) { $.extend(true, texts, more); };
    widget.get_version = function () { return settings.version; };
    widget.system = function () {
      return { area: context.area, amouser_id: context.user.id, amouser: context.user.email, amohash: null,
        subdomain: context.account.subdomain, domain: context.account.domain, server: '', displayed_count: 1 };
    };
    widget.render = function (what, params) {
      if (what.href) {
        $.ajax({ url: (what.base_path || settings.path) + what.href + '?v=' + (what.v || settings.version), dataType: 'text' })
          .done(function (text) { what.load({ render: function (p) { return twig(text, p); } }); });
        return '';
      }
      if (what.ref) {
        var name = what.ref.replace(/^.*\/|\.twig$/g, '');
        if (!controls[name]) throw new Error('no control ' + what.ref);
        return twig(controls[name], params);
      }
      return twig(what.data || '', params);
    };
    widget.render_template = function (what, params) {
      var caption = what.caption || {}, box = panel(view);
      box.addClass(caption.class_name || '');
      box.find('.card-widgets__widget__caption').html(caption.html || '<img src="' + settings.path + '/images/logo_medium.png" alt="">');
      box.find('.card-widgets__widget__body').html(what.body || '').append(twig(what.render || '', params));
    };
    widget.$authorizedAjax = function (options) {
      var out = $.Deferred();
      $.ajax({ url: '/ajax/token', dataType: 'json' }).done(function (answer) {
        $.ajax($.extend({}, options, { headers: $.extend({}, options.headers, { 'X-Auth-Token': answer.token }) }))
          .done(out.resolve).fail(out.reject);
      }).fail(out.reject);
      return out.promise();
    };
    widget.get_current_card_contacts_data = function () {
      return context.lead ? Promise.resolve($.getJSON('/ajax/leads/' + context.lead.id + '/contacts')) : Promise.resolve([]);
    };
    widget.add_action = function (kind, act) { widget.actions[kind] = act; };
    widget.add_source = function () {};
    widget.list_selected = function () { return { count_selected: 0, selected: [] }; };
    widget.widgetsOverlay = function (on) { $('#widgets_block').toggleClass('expanded', !!on); };
    widget.get_pipeline_id = function () { return context.lead ? Number(context.lead.pipeline) : 0; };
    return widget;
  }

  // panel is the widget's place in the right column, made on first use.
  function panel(view) {
    var box = $('.card-widgets__widget[data-code="' + view.code + '"]');
    if (box.length) return box;
    return $('<div class="card-widgets__widget" data-testid="app-frame" data-code="' + view.code + '"><div class="card-widgets__widget__caption js-widget-caption-block"></div>' +
      '<div class="card-widgets__widget__body js-body-hide"></div></div>').appendTo('#widgets_block');
  }

  function Life(context, Script) {
    if (typeof Script !== 'function') throw new Error('script.js must return a constructor');
    Object.setPrototypeOf(Script.prototype, base(context));
    this.widget = new Script();
    this.callbacks = this.widget.callbacks;
    ['render', 'init', 'bind_actions'].forEach(function (name) {
      if (!this.callbacks || typeof this.callbacks[name] !== 'function') throw new Error('callbacks.' + name + ' is mandatory');
    }, this);
  }
  Life.prototype.call = function (name) {
    var callback = this.callbacks[name];
    if (callback) return callback.apply(this.widget, Array.prototype.slice.call(arguments, 1));
  };
  Life.prototype.start = function () {
    if (this.call('render') !== true) return;
    if (this.call('init') !== true) throw new Error('init did not return true');
    if (this.call('bind_actions') !== true) throw new Error('bind_actions did not return true');
  };
  Life.prototype.stop = function () {
    this.call('destroy');
    $('.card-widgets__widget').remove();
  };

  // open loads the archive's script.js and builds the widget on it.
  window.openWidget = function (context) {
    var settings = context.widget.settings;
    return amd.script(settings.path + '/script.js?v=' + settings.version).then(function (Script) {
      return new Life(context, Script);
    });
  };
  window.showWidgetError = function (error) {
    console.error(error);
    document.body.setAttribute('data-widget-error', error.message || String(error));
  };
})();
