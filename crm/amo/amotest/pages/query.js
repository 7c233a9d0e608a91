// The part of jQuery that widgets use: selection, events, content, Deferred.
(function () {
  'use strict';

  function Query(nodes) {
    for (var i = 0; i < nodes.length; i++) this[i] = nodes[i];
    this.length = nodes.length;
  }

  function parse(html) {
    var box = document.createElement('template');
    box.innerHTML = html.trim();
    return Array.from(box.content.childNodes);
  }

  function nodesOf(what, within) {
    if (!what) return [];
    if (typeof what === 'string') {
      return what.trim()[0] === '<' ? parse(what) : Array.from((within || document).querySelectorAll(what));
    }
    if (what.nodeType || what === window) return [what];
    return Array.from(what).flatMap(function (w) { return nodesOf(w); });
  }

  function $(what, within) {
    if (typeof what === 'function') {
      if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', function () { what($); });
      else what($);
      return $(document);
    }
    if (what instanceof Query) return what;
    var html = typeof what === 'string' && what.trim()[0] === '<';
    if (typeof what === 'string' && !html && within) return $(within).find(what);
    var made = new Query(unique(nodesOf(what)));
    // $('<a>', {text: 'x', href: 'y'}): methods by name, the rest are attributes.
    for (var k in html && within || {}) {
      if (['text', 'html', 'val', 'css', 'click', 'on', 'data', 'addClass'].includes(k)) made[k](within[k]);
      else made.attr(k, within[k]);
    }
    return made;
  }

  function unique(nodes) { return Array.from(new Set(nodes)); }

  var fn = Query.prototype = $.fn = $.prototype = { constructor: $, jquery: '3.7-compatible' };

  fn.each = function (act) {
    for (var i = 0; i < this.length; i++) if (act.call(this[i], i, this[i]) === false) break;
    return this;
  };
  fn.toArray = function () { return Array.from(this); };
  fn.get = function (i) { return i === undefined ? this.toArray() : this[i < 0 ? this.length + i : i]; };
  fn.eq = function (i) { return $(this.get(i)); };
  fn.first = function () { return this.eq(0); };
  fn.last = function () { return this.eq(-1); };
  fn.map = function (act) { return $(this.toArray().map(function (n, i) { return act.call(n, i, n); })); };
  fn.add = function (what) { return $(unique(this.toArray().concat($(what).toArray()))); };

  function walk(step) {
    return function (selector) {
      var found = [];
      this.each(function () { found = found.concat(step(this, selector)); });
      return $(unique(found.filter(Boolean)));
    };
  }
  fn.find = walk(function (n, s) { return Array.from(n.querySelectorAll(s)); });
  fn.children = walk(function (n, s) { return Array.from(n.children).filter(function (c) { return !s || c.matches(s); }); });
  fn.closest = walk(function (n, s) { return n.closest(s); });
  fn.parent = walk(function (n) { return n.parentElement; });
  fn.next = walk(function (n) { return n.nextElementSibling; });
  fn.prev = walk(function (n) { return n.previousElementSibling; });
  fn.siblings = walk(function (n, s) {
    return Array.from(n.parentElement.children).filter(function (c) { return c !== n && (!s || c.matches(s)); });
  });
  fn.filter = function (s) {
    return $(this.toArray().filter(function (n, i) { return typeof s === 'function' ? s.call(n, i, n) : n.matches(s); }));
  };
  fn.not = function (s) {
    var out = typeof s === 'string' ? null : nodesOf(s);
    return this.filter(function () { return out ? !out.includes(this) : !this.matches(s); });
  };
  fn.is = function (s) {
    return this.toArray().some(function (n) {
      return s === ':visible' ? n.offsetParent !== null : s === ':checked' ? n.checked : n.matches(s);
    });
  };

  function accessor(read, write) {
    return function (v) {
      if (v === undefined) return this[0] && read(this[0]);
      return this.each(function (i, n) { write(n, typeof v === 'function' ? v.call(n, i, read(n)) : v); });
    };
  }
  fn.text = accessor(function (n) { return n.textContent; }, function (n, v) { n.textContent = v; });
  fn.val = accessor(function (n) { return n.value; }, function (n, v) { n.value = v; });
  fn.html = function (v) {
    if (v === undefined) return this[0] && this[0].innerHTML;
    return this.empty().append(typeof v === 'string' ? document.createRange().createContextualFragment(v) : v);
  };

  function named(read, write) {
    return function (key, v) {
      if (typeof key === 'object') {
        for (var k in key) this.each(function () { write(this, k, key[k]); });
        return this;
      }
      if (v === undefined) return this[0] && read(this[0], key);
      return this.each(function () { write(this, key, v); });
    };
  }
  var attr = function (n, k) { var v = n.getAttribute(k); return v === null ? undefined : v; };
  fn.attr = named(attr, function (n, k, v) { if (v === null) n.removeAttribute(k); else n.setAttribute(k, v); });
  fn.prop = named(function (n, k) { return n[k]; }, function (n, k, v) { n[k] = v; });
  fn.css = named(function (n, k) { return getComputedStyle(n)[k]; }, function (n, k, v) {
    v = typeof v === 'number' ? v + 'px' : v;
    if (k in n.style) n.style[k] = v; else n.style.setProperty(k, v);
  });
  fn.data = named(function (n, k) {
    if (n._data && k in n._data) return n._data[k];
    var v = attr(n, 'data-' + k.replace(/[A-Z]/g, function (c) { return '-' + c.toLowerCase(); }));
    try { return JSON.parse(v); } catch (e) { return v; }
  }, function (n, k, v) { (n._data = n._data || {})[k] = v; });
  fn.removeAttr = function (k) { return this.each(function () { this.removeAttribute(k); }); };

  ['add', 'remove', 'toggle'].forEach(function (verb) {
    fn[verb + 'Class'] = function (names, force) {
      return this.each(function () {
        var list = this.classList;
        names.split(/\s+/).filter(Boolean).forEach(function (c) { if (verb === 'toggle') list.toggle(c, force); else list[verb](c); });
      });
    };
  });
  fn.hasClass = function (c) { return this.toArray().some(function (n) { return n.classList.contains(c); }); };
  fn.show = function () { return this.css('display', ''); };
  fn.hide = function () { return this.css('display', 'none'); };
  fn.toggle = function (on) { return on ? this.show() : this.hide(); };
  fn.width = function () { return this[0] && this[0].clientWidth; };
  fn.height = function () { return this[0] && this[0].clientHeight; };
  fn.outerHeight = function () { return this[0] && this[0].offsetHeight; };

  // Where the content goes; it is cloned for all targets but the last.
  function inserter(place) {
    return function () {
      var what = Array.from(arguments), count = this.length;
      return this.each(function (i, target) {
        what.forEach(function (w) {
          var list = typeof w === 'string' ? Array.from(document.createRange().createContextualFragment(w).childNodes)
            : w && w.nodeType === 11 ? Array.from(w.childNodes) : nodesOf(w);
          if (i < count - 1) list = list.map(function (n) { return n.cloneNode(true); });
          target[place].apply(target, list);
        });
      });
    };
  }
  fn.append = inserter('append');
  fn.prepend = inserter('prepend');
  fn.before = inserter('before');
  fn.after = inserter('after');
  fn.replaceWith = inserter('replaceWith');
  fn.appendTo = function (target) { $(target).append(this); return this; };
  fn.prependTo = function (target) { $(target).prepend(this); return this; };
  fn.empty = function () { return this.each(function () { this.replaceChildren(); }); };
  fn.remove = fn.detach = function () { return this.each(function () { this.remove(); }); };
  fn.clone = function () { return $(this.toArray().map(function (n) { return n.cloneNode(true); })); };

  // Events: "click.name" is type and namespace; with a selector they are delegated.
  fn.on = function (types, selector, handler) {
    if (typeof selector === 'function') { handler = selector; selector = null; }
    return this.each(function () {
      var target = this;
      types.split(/\s+/).forEach(function (full) {
        var listen = function (event) {
          var origin = event.target && event.target.closest ? event.target : null;
          var current = selector ? origin && origin.closest(selector) : target;
          if (!current || selector && !target.contains(current)) return;
          var result = handler.apply(current, [event].concat(event.detail && event.detail.extra || []));
          if (result === false) { event.preventDefault(); event.stopPropagation(); }
        };
        var parts = full.split('.');
        (target._events = target._events || []).push({ type: parts[0], spaces: parts.slice(1), selector: selector, handler: handler, listen: listen });
        target.addEventListener(parts[0], listen);
      });
    });
  };
  fn.off = function (types, selector, handler) {
    if (typeof selector === 'function') { handler = selector; selector = null; }
    return this.each(function () {
      var target = this;
      (types || '').split(/\s+/).forEach(function (full) {
        var parts = full.split('.');
        target._events = (target._events || []).filter(function (e) {
          var hit = (!parts[0] || e.type === parts[0]) && parts.slice(1).every(function (s) { return e.spaces.includes(s); }) &&
            (!selector || e.selector === selector) && (!handler || e.handler === handler);
          if (hit) target.removeEventListener(e.type, e.listen);
          return !hit;
        });
      });
    });
  };
  fn.one = function (type, handler) {
    var self = this;
    var once = function () { self.off(type, once); return handler.apply(this, arguments); };
    return this.on(type, once);
  };
  fn.trigger = function (type, extra) {
    return this.each(function () {
      var name = type.split('.')[0];
      if (name === 'click' || name === 'focus') return this[name]();
      this.dispatchEvent(new CustomEvent(name, { bubbles: true, cancelable: true, detail: { extra: extra === undefined ? [] : [].concat(extra) } }));
    });
  };
  ['click', 'change', 'submit', 'keyup', 'input', 'focus', 'blur'].forEach(function (type) {
    fn[type] = function (handler) { return handler ? this.on(type, handler) : this.trigger(type); };
  });
  fn.ready = function (handler) { $(handler); return this; };

  window.$ = window.jQuery = $;
  amd.provide('jquery', $);
})();
