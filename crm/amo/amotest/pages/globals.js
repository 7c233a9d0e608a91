// The globals that the CRM's pages have: APP and, on amoCRM, AMOCRM.
(function () {
  'use strict';
  var $ = window.jQuery;
  var context = window.context = JSON.parse(document.getElementById('context').textContent);

  function Modal(options) {
    this.options = options = options || {};
    var self = this;
    var box = $('<div class="modal ' + (options.class_name || '') + '"><div class="modal-body" role="dialog" aria-modal="true"></div></div>').appendTo('body');
    var body = box.children('.modal-body');
    body.on('modal:loaded', function () { box.addClass('shown'); });
    body.on('modal:centrify', function () { body.css('max-height', '92vh'); });
    box.on('click', function (event) { if (event.target === box[0] && !options.disable_overlay_click) self.destroy(); });
    box.on('click', '.modal-body__close', function () { self.destroy(); });
    this.$el = box;
    this.escape = function (event) { if (event.key === 'Escape') self.destroy(); };
    document.addEventListener('keydown', this.escape);
    if (options.init) options.init(body);
  }
  Modal.prototype.destroy = function () {
    if (!this.$el || this.options.destroy && this.options.destroy() === false) return;
    document.removeEventListener('keydown', this.escape);
    this.$el.remove();
    this.$el = null;
  };
  amd.provide('lib/components/base/modal', Modal);
  amd.provide('underscore', { extend: Object.assign, each: function (l, f) { $.each(l, function (i, v) { f(v, i); }); },
    map: function (l, f) { return Array.from(l).map(f); }, isFunction: $.isFunction, isArray: Array.isArray,
    find: function (l, f) { return Array.from(l).find(f); }, filter: function (l, f) { return Array.from(l).filter(f); } });

  function yes(b) { return b ? 'Y' : 'N'; }
  var managers = {};
  context.people.forEach(function (p) {
    managers[p.id] = { id: p.id, title: p.name, login: p.email, is_admin: yes(p.admin), active: true, group: 'group_0' };
  });
  var constants = {
    user: { id: context.user.id, name: context.user.name, login: context.user.email, lang: context.account.language },
    account: context.account, user_rights: { is_admin: context.user.admin }, managers: managers,
    groups: { group_0: 'Sales' }, task_types: { 1: { id: 1, code: 'FOLLOW_UP', option: 'Follow-up' }, 2: { id: 2, code: 'MEETING', option: 'Meeting' } }
  };

  var areas = { lcard: 'leads_card', settings: 'widgets_settings', advanced_settings: 'widgets_settings' };
  var APP = {
    data: { current_card: false, current_entity: context.lead ? 'leads' : '' },
    lang_id: context.account.language, lang: {}, widgets: { list: {}, system: {} }, sdk: { showUserStatus: $.noop, setCallingStatus: $.noop },
    getBaseEntity: function () { return context.area === 'lcard' ? 'leads' : ''; },
    isCard: function () { return context.area === 'lcard'; },
    getWidgetsArea: function () { return areas[context.area]; },
    constant: function (name) { return $.isPlainObject(constants[name]) ? $.extend(true, {}, constants[name]) : constants[name]; },
    addNotificationCallback: $.noop,
    notifications: { show_message: function (m) { window.dispatchEvent(new CustomEvent('crm:message', { detail: m })); } },
    router: { navigate: function (path) { location.assign(path); } }
  };
  APP.system = function () { return { domain: context.account.domain, subdomain: context.account.subdomain }; };
  APP.setLead = function (lead) {
    context.lead = lead;
    APP.data.current_card = lead ? { id: Number(lead.id), element_type: 2, main_user: Number(lead.owner),
      model: { id: Number(lead.id), attributes: { 'lead[NAME]': lead.title, 'lead[PRICE]': lead.amount, 'lead[STATUS]': lead.stage, 'lead[PIPELINE_ID]': lead.pipeline },
        get: function (key) { return this.attributes[key]; } } } : false;
  };
  APP.setLead(context.lead);
  window[context.product.global] = APP;
  if (context.product.alias) window.APP = APP;
  window.crm = APP;
})();
