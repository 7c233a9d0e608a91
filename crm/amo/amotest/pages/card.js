// The deal card: what is known of the deal, asked for again each second, and the widget at its
// right. Going to another deal changes the page without loading it anew, as in the product.
(function () {
  'use strict';
  var $ = window.jQuery, context = window.context, life = null, shown = '';

  function stamp(seconds) { return new Date(seconds * 1000).toISOString().replace('T', ' ').slice(0, 16) + ' UTC'; }

  // grouped writes 1250000.00 as 1,250,000.00.
  function grouped(amount) { return String(amount).replace(/\B(?=(\d{3})+\.)/g, ','); }

  function fieldText(row) {
    if (row.raw === null || row.raw === undefined) return '…';
    return /^date/.test(row.type) ? stamp(row.raw) : row.text;
  }

  function draw(lead) {
    var now = JSON.stringify(lead);
    if (now === shown) return;
    shown = now;
    $('#deal-id').text(lead.id);
    $('#deal-title').text(lead.title);
    $('#stage').text(lead.stage_name).attr('data-status', lead.stage).attr('data-pipeline', lead.pipeline);
    $('#price').text(grouped(lead.amount) + ' ' + lead.currency);
    $('#contact').text(lead.contact);
    $('#stages').html(lead.stages.map(function (s) {
      return '<option value="' + s.pipeline + '/' + s.id + '"' + (s.id === lead.stage && s.pipeline === lead.pipeline ? ' selected' : '') + '></option>';
    }).join('')).prop('disabled', !lead.can_edit);
    $('#stages option').each(function (i) { $(this).text(lead.stages[i].name); });
    drawFields(lead);
    drawFeed(lead);
  }

  function drawFields(lead) {
    $('#fields').empty();
    (lead.rows || []).forEach(function (row) {
      var dd = $('<dd></dd>').attr('data-testid', 'field-' + row.code).attr('data-value', row.raw === null ? '' : row.raw);
      if (row.type === 'url' && row.raw) dd.append($('<a target="_blank" rel="noopener"></a>').attr('href', row.raw).text(row.text));
      else dd.text(fieldText(row));
      $('#fields').append($('<dt></dt>').text(row.name)).append(dd);
    });
  }

  function drawFeed(lead) {
    $('#feed').empty();
    $('#nothing').text(lead.notes.length + lead.tasks.length ? '' : 'Nothing has happened yet: notes and tasks appear here.');
    lead.notes.forEach(function (n) {
      $('#feed').append($('<li class="note" data-testid="note"></li>').text(n.text).append($('<time></time>').text(stamp(n.at))));
    });
    lead.tasks.forEach(function (t) {
      $('#feed').append($('<li class="task" data-testid="task"></li>').toggleClass('done', t.done).attr('data-done', t.done)
        .text(t.text).append($('<time></time>').text((t.done ? 'Done. ' + t.result : 'Due ' + stamp(t.complete_till)))));
    });
  }

  function startWidget() {
    var w = context.widget;
    if (!w || !w.installed || w.problem || !w.locations.some(function (l) { return /^lcard/.test(l) || l === 'everywhere'; })) return;
    openWidget(context).then(function (made) {
      life = made;
      crm.widgets.list[w.code] = made.widget;
      life.start();
    }).catch(showWidgetError);
  }

  // go leaves this deal for another one without a page load.
  function go(id) {
    $.getJSON('/ajax/context/lcard/' + id).done(function (next) {
      if (life) life.stop();
      Object.assign(context, next);
      crm.setLead(next.lead);
      history.pushState({}, '', '/leads/detail/' + id);
      draw(next.lead);
      startWidget();
    });
  }

  $('#stages').on('change', function () {
    var to = this.value.split('/');
    $.ajax({ url: '/ajax/leads/' + context.lead.id, type: 'POST', contentType: 'application/json',
      data: JSON.stringify({ pipeline: to[0], status: to[1] }) }).done(draw);
  });
  $('#previous').on('click', function () { go(Number(context.lead.id) - 1); return false; });
  $('#next').on('click', function () { go(Number(context.lead.id) + 1); return false; });
  window.addEventListener('popstate', function () { location.reload(); });

  draw(context.lead);
  startWidget();
  setInterval(function () {
    var asked = context.lead.id;
    $.getJSON('/ajax/leads/' + asked).done(function (lead) {
      if (asked === context.lead.id) { crm.setLead(lead); draw(lead); }
    });
  }, 1000);
})();
