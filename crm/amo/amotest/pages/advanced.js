// The widget's own page: advancedSettings draws into #work-area-<code>.
(function () {
  'use strict';
  if (!context.widget || context.widget.problem) return;
  openWidget(context).then(function (life) {
    crm.widgets.list[context.widget.code] = life.widget;
    if (life.call('render') === true && life.call('init') === true) life.call('bind_actions');
    life.call('advancedSettings');
  }).catch(showWidgetError);
})();
