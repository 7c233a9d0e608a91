// A small AMD loader: define([deps], factory), define(factory), require([deps], done, failed).
// Modules the CRM provides are registered by name; "./x" is a file of the widget's archive.
(function () {
  'use strict';
  var modules = {};
  var pending = null;

  function settle(deps, factory, base) {
    if (typeof factory !== 'function') return Promise.resolve(factory);
    return Promise.all(deps.map(function (dep) { return load(dep, base); })).then(function (values) {
      return factory.apply(null, values);
    });
  }

  function define(name, deps, factory) {
    if (typeof name !== 'string') { factory = deps; deps = name; name = null; }
    if (!Array.isArray(deps)) { factory = deps; deps = []; }
    var made = { deps: deps, factory: factory };
    if (name) modules[name] = settle(deps, factory, '');
    else if (pending) throw new Error('a second anonymous define() in one script');
    else pending = made;
  }
  define.amd = { jQuery: true };

  function script(url) {
    return new Promise(function (done, failed) {
      var tag = document.createElement('script');
      tag.src = url;
      tag.onload = function () {
        var made = pending;
        pending = null;
        if (!made) return failed(new Error(url + ' made no define() call'));
        settle(made.deps, made.factory, url.replace(/[^/]*$/, '')).then(done, failed);
      };
      tag.onerror = function () { pending = null; failed(new Error('cannot load ' + url)); };
      document.head.appendChild(tag);
    });
  }

  function load(name, base) {
    if (modules[name]) return modules[name];
    if (name === 'require') return Promise.resolve(require);
    if (name[0] === '.' || name[0] === '/' || /^https?:/.test(name)) {
      var url = new URL(name.replace(/\?.*$/, '').replace(/(\.js)?$/, '.js'), new URL(base || '/', location.href)).href;
      return (modules[url] = modules[url] || script(url));
    }
    return Promise.reject(new Error('the CRM provides no module "' + name + '"'));
  }

  function require(deps, done, failed) {
    if (typeof deps === 'string') throw new Error('only require([deps], done) is supported');
    Promise.all(deps.map(function (dep) { return load(dep, ''); })).then(function (values) {
      if (done) done.apply(null, values);
    }).catch(failed || function (error) { console.error(error); });
  }

  window.define = define;
  window.require = window.requirejs = require;
  window.amd = { provide: function (name, value) { modules[name] = Promise.resolve(value); }, script: script };
})();
