package bitrix24test

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
)

// handler is a subscription of event.bind.
type handler struct {
	id, authType int
	event, url   string
	offline      bool
	connector    string
}

// offlineRow is one waiting row of the offline queue.
type offlineRow struct {
	id        int
	event     string
	data      params
	at        time.Time
	process   string
	failed    bool
	connector string
}

var eventMethods = map[string]method{
	"event.bind":          {write: true, run: eventBind},
	"event.unbind":        {write: true, run: eventUnbind},
	"event.get":           {run: eventGet},
	"events":              {run: func(*call) (any, *restError) { return eventNames, nil }},
	"event.offline.list":  {run: adminOnly(offlineList)},
	"event.offline.get":   {write: true, run: adminOnly(offlineGet)},
	"event.offline.clear": {write: true, run: adminOnly(offlineClear)},
	"event.offline.error": {write: true, run: adminOnly(offlineError)},
}

var eventNames = []string{"ONAPPUNINSTALL", "ONAPPINSTALL", "ONAPPUPDATE", "ONAPPPAYMENT", "ONAPPTEST", "ONAPPMETHODCONFIRM", "ONOFFLINEEVENT",
	"ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMDEALDELETE", "ONCRMDEALMOVETOCATEGORY", "ONCRMDYNAMICITEMUPDATE", "ONCRMCONTACTUPDATE",
	"ONCRMTIMELINECOMMENTADD", "ONCRMTIMELINEITEMACTION"}

// subscription reads the parameters of event.bind and event.unbind.
func (c *call) subscription() (handler, *restError) {
	h := handler{event: strings.ToUpper(text(c.params["event"])), url: text(c.params["handler"]), authType: number(c.params["auth_type"]),
		offline: text(c.params["event_type"]) == "offline", connector: text(c.params["auth_connector"])}
	switch {
	case !slices.Contains(eventNames, h.event):
		return h, bad("ERROR_EVENT_NOT_FOUND", "Event not found")
	case h.offline && !c.user.admin:
		return h, &restError{status: 403, code: "ACCESS_DENIED", text: "Access denied! Offline events binding requires administrator access rights"}
	case h.authType != 0 && h.authType != c.user.id && !c.user.admin:
		return h, &restError{status: 403, code: "ACCESS_DENIED", text: "Access denied! Event binding with AUTH_TYPE requires administrator access rights"}
	}
	return h, nil
}

func (h handler) same(o *handler) bool {
	return h.event == o.event && h.url == o.url && h.authType == o.authType && h.offline == o.offline
}

// eventBind subscribes (page "Register New Event Handler").
func eventBind(c *call) (any, *restError) {
	h, refused := c.subscription()
	if refused != nil {
		return nil, refused
	}
	if !h.offline {
		if refused := checkHandler(h.url); refused != nil {
			return nil, refused
		}
	}
	if slices.ContainsFunc(c.p.install.handlers, h.same) {
		return nil, bad("ERROR_CORE", "Unable to set event handler: Handler already binded")
	}
	h.id = c.p.id()
	c.p.install.handlers = append(c.p.install.handlers, &h)
	return true, nil
}

func eventUnbind(c *call) (any, *restError) {
	h, refused := c.subscription()
	if refused != nil {
		return nil, refused
	}
	before := len(c.p.install.handlers)
	c.p.install.handlers = slices.DeleteFunc(c.p.install.handlers, h.same)
	return params{"count": before - len(c.p.install.handlers)}, nil
}

func eventGet(c *call) (any, *restError) {
	rows := []params{}
	for _, h := range c.p.install.handlers {
		row := params{"event": h.event, "handler": h.url, "auth_type": strconv.Itoa(h.authType), "offline": 0}
		if h.offline {
			row = params{"event": h.event, "connector_id": h.connector, "auth_type": "0", "offline": 1}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// fire reports something that user by did, to every subscription, when the installation is
// finished (page "Event Handlers"). by 0 is a robot: such events carry no tokens. Callers
// hold the lock.
func (p *Portal) fire(event string, data params, by int) {
	if !p.install.finished {
		return
	}
	for _, h := range p.install.handlers {
		if h.event != event {
			continue
		}
		if h.offline {
			p.enqueueOffline(h, data)
			continue
		}
		p.send(h.url, p.eventBody(event, h.id, data, cmp.Or(h.authType, by), false), event)
	}
}

// eventBody is the form of an event. full adds the refresh token, as ONAPPINSTALL has it.
func (p *Portal) eventBody(event string, handlerID int, data params, by int, full bool) url.Values {
	now := p.Control.Clock.Now()
	form := url.Values{"event": {event}, "ts": {strconv.FormatInt(now.Unix(), 10)}}
	if handlerID != 0 {
		form.Set("event_handler_id", strconv.Itoa(handlerID))
	}
	flatten(form, "data", data)
	base := p.srv.public(p.host)
	auth := params{"domain": p.domain(), "server_endpoint": p.srv.public(AuthHost) + "/rest/", "client_endpoint": base + "/rest/",
		"member_id": p.member, "application_token": p.install.appToken}
	if by != 0 && event != "ONAPPUNINSTALL" { // access is gone already
		t := p.eventToken(by, now)
		maps.Copy(auth, params{"access_token": t.Access, "expires": t.Expires.Unix(), "expires_in": int(accessLife.Seconds()), "user_id": by})
		if full {
			auth["refresh_token"] = t.Refresh
		}
	}
	if event != "ONAPPUNINSTALL" {
		maps.Copy(auth, params{"scope": p.srv.cfg.Scope, "status": appStatus})
	}
	flatten(form, "auth", auth)
	return form
}

// eventToken reuses a user's token while it is fresh.
func (p *Portal) eventToken(user int, now time.Time) Token {
	t, ok := p.tokens.event[user]
	if _, alive := p.tokens.access[t.Access]; !ok || !alive || now.After(t.Expires.Add(-accessLife/2)) {
		t = p.issue(user, now)
		p.tokens.event[user] = t
	}
	return t
}

// flatten writes nested values with PHP bracket keys; empty maps vanish.
func flatten(form url.Values, prefix string, v any) {
	m, ok := v.(params)
	if !ok {
		if n, isInt := v.(int64); isInt {
			v = strconv.FormatInt(n, 10)
		}
		form.Set(prefix, text(v))
		return
	}
	for k, inner := range m {
		flatten(form, prefix+"["+k+"]", inner)
	}
}

// send queues a delivery with the faults ordered for it: doubled, out of order, or forged
// (a wrong application_token in place of the right one).
func (p *Portal) send(to string, form url.Values, event string) {
	what := event + " " + to
	if _, ok := p.Control.Take(standintest.Forge, what); ok {
		form.Set("auth[application_token]", fmt.Sprintf("%032x", p.Control.Clock.Now().UnixNano()))
	}
	copies := 1
	if _, ok := p.Control.Take(standintest.Duplicate, what); ok {
		copies = 2
	}
	_, late := p.Control.Take(standintest.Reorder, what)
	for range copies {
		p.srv.queue.push(delivery{url: to, body: form.Encode(), member: p.member, late: late})
	}
}

func (p *Portal) enqueueOffline(h *handler, data params) {
	same := func(r offlineRow) bool { // one row per object, the last change
		return r.event == h.event && r.process == "" && text(changed(r.data)["ID"]) == text(changed(data)["ID"])
	}
	p.queued = slices.DeleteFunc(p.queued, same)
	p.queued = append(p.queued, offlineRow{id: p.id(), event: h.event, data: data, at: p.Control.Clock.Now(), connector: h.connector})
}

func changed(data params) params {
	fields, _ := object(data["FIELDS"])
	return fields
}
