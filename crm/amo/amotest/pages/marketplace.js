// The integration's page: its settings window, drawn from the manifest and handed to the
// widget's settings callback; Install, Save and Disable call onSave as the product does.
(function () {
  'use strict';
  var $ = window.jQuery, context = window.context, view = context.widget, life = null;
  if (!view || view.problem) return;
  document.getElementById('description').innerHTML = view.description.replace(/#SUBDOMAIN#/g, context.account.subdomain);

  function say(text) { $('#outcome').text(text); }

  function text(key) {
    return key.split('.').reduce(function (v, k) { return v && v[k]; }, view.texts) || key;
  }

  Object.keys(view.fields || {}).forEach(function (name) {
    var field = view.fields[name], value = view.settings[name];
    var row = $('<div class="widget_settings_block__item_field"><div class="widget_settings_block__title_field"></div></div>');
    row.children().text(text(field.name));
    var input = $('<input class="widget_settings_block__controls__ text-input">').attr('name', name)
      .attr('type', field.type === 'pass' ? 'password' : field.type === 'custom' ? 'hidden' : 'text').val(value === undefined ? '' : value);
    if (field.type === 'custom') input.attr('id', view.code + '_custom');
    row.append(input);
    if (field.type === 'custom') row.append('<div id="' + view.code + '_custom_content"></div>');
    $('#widget_settings__fields_wrapper').append(row);
  });

  function collect() {
    var fields = {};
    $('#widget_settings__fields_wrapper input[name]').each(function () { fields[this.name] = this.value; });
    return fields;
  }

  function missing(fields) {
    return Object.keys(view.fields || {}).find(function (name) {
      var f = view.fields[name], v = fields[name];
      if (f.type === 'custom' && v) { try { JSON.parse(v); } catch (e) { return true; } }
      return f.required && !v;
    });
  }

  function agreed(active, fields) {
    if (!life || !life.callbacks.onSave) return Promise.resolve(true);
    return Promise.resolve(life.call('onSave', { active: active, fields: fields }));
  }

  function post(act, fields) {
    return new Promise(function (done, failed) {
      $.ajax({ url: '/ajax/widget/' + act, type: 'POST', contentType: 'application/json', data: JSON.stringify(fields), dataType: 'json' })
        .done(done).fail(function (request) { failed(new Error(request.responseJSON && request.responseJSON.error || 'not saved')); });
    });
  }

  function press(act, active) {
    var fields = collect(), lacking = active === 'Y' && missing(fields);
    if (lacking) return say('Fill in: ' + text(view.fields[lacking].name));
    say('Working…');
    var asked = function () {
      return agreed(active, fields).then(function (ok) { if (ok === false) throw new Error('The integration refused to save.'); });
    };
    var sent = function () { return post(act, fields); };
    // Which of the two comes first at an installation is not documented.
    var both = act === 'install' && context.product.hook_first
      ? sent().then(function (answer) { return asked().then(function () { return answer; }); }) : asked().then(sent);
    both.then(function (answer) {
      if (act === 'disable' && life) life.call('destroy');
      if (act === 'install' && life && context.product.name === 'kommo') life.call('onInstall');
      if (answer.hook) return say('Saved, but the integration did not answer: ' + answer.hook);
      location.reload();
    }).catch(function (error) { say(error.message || 'Not saved.'); });
  }

  $('#install').on('click', function () { press('install', 'Y'); });
  $('#save').on('click', function () { press('settings', 'Y'); });
  $('#disable').on('click', function () { press('disable', 'N'); });
  $('#widget_settings__fields_wrapper').on('change', function () { $('#save').prop('disabled', false); });
  $('#widget_settings__fields_wrapper').on('input', function () { $('#save').prop('disabled', false); });

  openWidget(context).then(function (made) {
    life = made;
    crm.widgets.list[view.code] = made.widget;
    life.call('settings', $('#widget_settings__wrap'));
  }).catch(showWidgetError);
})();
