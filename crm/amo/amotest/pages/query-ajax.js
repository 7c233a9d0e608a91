// The rest of jQuery that widgets use: helpers, Deferred and ajax.
(function () {
  'use strict';
  var $ = window.jQuery;

  $.extend = function () {
    var args = Array.from(arguments), deep = args[0] === true;
    if (deep) args.shift();
    var target = args.shift();
    args.forEach(function (source) {
      for (var k in source) {
        if (deep && $.isPlainObject(source[k])) target[k] = $.extend(true, $.isPlainObject(target[k]) ? target[k] : {}, source[k]);
        else if (source[k] !== undefined) target[k] = source[k];
      }
    });
    return target;
  };
  $.isPlainObject = function (v) { return Object.prototype.toString.call(v) === '[object Object]'; };
  $.isFunction = function (v) { return typeof v === 'function'; };
  $.isArray = Array.isArray;
  $.trim = function (s) { return s == null ? '' : String(s).trim(); };
  $.noop = function () {};
  $.proxy = function (f, self) { return f.bind(self); };
  $.inArray = function (v, list) { return list.indexOf(v); };
  $.map = function (list, act) { return Array.from(list).map(act).filter(function (v) { return v != null; }); };
  $.each = function (list, act) {
    if (Array.isArray(list) || list instanceof Object && 'length' in list) Array.from(list).some(function (v, i) { return act.call(v, i, v) === false; });
    else Object.keys(list).some(function (k) { return act.call(list[k], k, list[k]) === false; });
    return list;
  };
  $.param = function (data) {
    var out = new URLSearchParams();
    (function add(prefix, v) {
      if (v !== null && typeof v === 'object') Object.keys(v).forEach(function (k) { add(prefix ? prefix + '[' + k + ']' : k, v[k]); });
      else out.append(prefix, v == null ? '' : v);
    })('', data);
    return out.toString();
  };

  // follow runs one side of then() and passes on what came of it, as jQuery 3 does.
  function follow(next, act, otherwise) {
    return function () {
      var args = arguments;
      if (typeof act !== 'function') return otherwise.apply(null, args);
      queueMicrotask(function () {
        var result;
        try { result = act.apply(null, args); } catch (e) { return next.reject(e); }
        // The wrappers return nothing: resolve answers its deferred, which would be followed again.
        if (result && typeof result.then === 'function') {
          result.then(function () { next.resolve.apply(null, arguments); }, function () { next.reject.apply(null, arguments); });
        }
        else next.resolve(result);
      });
    };
  }

  $.Deferred = function () {
    var state = 'pending', values = [], waiting = { resolved: [], rejected: [], progress: [] };
    function settle(next) {
      return function () {
        if (state === 'pending') { state = next; values = arguments; waiting[next].forEach(function (f) { f.apply(null, values); }); }
        return deferred;
      };
    }
    function when(want) {
      return function () {
        Array.from(arguments).flat().forEach(function (f) {
          if (state === want) f.apply(null, values);
          else if (state === 'pending') waiting[want].push(f);
        });
        return this;
      };
    }
    var promise = {
      state: function () { return state; },
      done: when('resolved'), fail: when('rejected'),
      always: function (f) { return this.done(f).fail(f); },
      then: function (yes, no) {
        var next = $.Deferred();
        promise.done(follow(next, yes, next.resolve)).fail(follow(next, no, next.reject));
        return next.promise();
      },
      catch: function (no) { return this.then(null, no); },
      promise: function () { return promise; }
    };
    var deferred = Object.assign({}, promise, { resolve: settle('resolved'), reject: settle('rejected') });
    return deferred;
  };
  $.when = function () {
    var all = $.Deferred();
    Promise.all(Array.from(arguments)).then(function (v) { all.resolve.apply(null, v); }, all.reject);
    return all.promise();
  };

  function bodyOf(options, method) {
    if (options.data === undefined || method === 'GET' || method === 'HEAD') return undefined;
    if (typeof options.data === 'string' || options.processData === false) return options.data;
    return $.param(options.data);
  }

  $.ajax = function (url, options) {
    options = typeof url === 'object' ? url : $.extend({ url: url }, options);
    var method = (options.method || options.type || 'GET').toUpperCase(), out = $.Deferred(), request = new XMLHttpRequest();
    var target = options.url;
    if (method === 'GET' && options.data) target += (target.indexOf('?') < 0 ? '?' : '&') + (typeof options.data === 'string' ? options.data : $.param(options.data));
    request.open(method, target);
    request.timeout = options.timeout || 0;
    var body = bodyOf(options, method);
    if (body !== undefined && options.contentType !== false) {
      request.setRequestHeader('Content-Type', options.contentType || 'application/x-www-form-urlencoded; charset=UTF-8');
    }
    for (var k in options.headers) request.setRequestHeader(k, options.headers[k]);
    if (options.beforeSend) options.beforeSend(request);
    request.onloadend = function () {
      var data = request.responseText, kind = request.getResponseHeader('Content-Type') || '';
      if (options.dataType === 'json' || options.dataType !== 'text' && /json/.test(kind)) {
        try { data = JSON.parse(data); request.responseJSON = data; } catch (e) { if (options.dataType === 'json' && data) return fail('parsererror'); }
      }
      if (request.status >= 200 && request.status < 300) {
        if (options.success) options.success(data, 'success', request);
        out.resolve(data, 'success', request);
      } else fail('error');
      if (options.complete) options.complete(request);
    };
    function fail(why) {
      if (options.error) options.error(request, why, request.statusText);
      out.reject(request, why, request.statusText);
    }
    request.send(body);
    return $.extend(out.promise(), { abort: function () { request.abort(); } });
  };
  $.get = function (url, data, done) { return typeof data === 'function' ? $.ajax({ url: url, success: data }) : $.ajax({ url: url, data: data, success: done }); };
  $.post = function (url, data, done) { return $.ajax({ url: url, type: 'POST', data: data, success: done }); };
  $.getJSON = function (url, data, done) { return $.ajax({ url: url, data: data, dataType: 'json', success: done }); };
})();
