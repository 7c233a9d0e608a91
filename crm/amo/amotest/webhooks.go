package amotest

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// maxWebhooks is how many subscriptions an account may have.
const maxWebhooks = 100

// webhookEvents are the settings a subscription may list ("Webhooks API").
var webhookEvents = func() []string {
	var out []string
	for entity, actions := range map[string][]string{
		"lead":    {"add", "update", "delete", "restore", "status", "responsible", "note"},
		"contact": {"add", "update", "delete", "restore", "responsible", "note"},
		"company": {"add", "update", "delete", "restore", "responsible", "note"},
		"task":    {"add", "update", "delete", "responsible"}, "customer": {"add", "update", "delete", "responsible", "note"},
		"talk": {"add", "update"}, "message": {"add"}, "unsorted": {"add", "update", "delete"}} {
		for _, action := range actions {
			out = append(out, action+"_"+entity)
		}
	}
	return out
}()

// webhook is one subscription.
type webhook struct {
	id          int64
	destination string
	settings    []string
	sort        int64
	disabled    bool
	createdBy   int64
	createdAt   int64
	updatedAt   int64
	failures    []time.Time // invalid answers
}

func (a *Account) showWebhook(h *webhook) map[string]any {
	return map[string]any{"id": h.id, "destination": h.destination, "created_at": h.createdAt, "updated_at": h.updatedAt,
		"account_id": a.ID, "created_by": h.createdBy, "sort": h.sort, "disabled": h.disabled, "settings": h.settings}
}

func (c *call) listWebhooks() *answer {
	if !c.user.admin {
		return forbidden()
	}
	var all []map[string]any
	for _, h := range c.hooks {
		if c.passes("destination", h.destination) {
			all = append(all, c.showWebhook(h))
		}
	}
	return c.total("webhooks", all, "webhooks")
}

// addWebhook subscribes; the same destination again replaces its settings and enables it.
func (c *call) addWebhook() *answer {
	switch {
	case !c.user.admin:
		return forbidden()
	case !c.switches.WebhooksPlan:
		return refuse(http.StatusPaymentRequired, "Payment required")
	}
	e, refused := c.one()
	if refused != nil {
		return refused
	}
	e.known("destination", "settings", "sort")
	destination, _ := e.text("destination")
	if u, err := url.Parse(destination); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		e.bad(fault{"InvalidUrl", "destination", "This value is not a valid URL."})
	}
	var settings []string
	list, _ := e.data["settings"].([]any)
	for _, item := range list {
		name, _ := item.(string)
		if !slices.Contains(webhookEvents, name) {
			e.bad(refusal("NotSupportedChoice", "settings"))
		}
		settings = append(settings, name)
	}
	if len(settings) == 0 {
		e.bad(refusal("FieldMissing", "settings"))
	}
	h := c.webhook(destination)
	if h == nil && len(c.hooks) >= maxWebhooks {
		return refuse(http.StatusUnprocessableEntity, "Webhooks limit exceeded")
	}
	if refused := verdict(e); refused != nil {
		return refused
	}
	if h == nil {
		h = &webhook{id: c.next(), destination: destination, createdAt: c.at, createdBy: c.user.id, sort: int64(len(c.hooks) + 1)}
		c.hooks = append(c.hooks, h)
	}
	if n, ok := e.integer("sort"); ok {
		h.sort = n
	}
	h.settings, h.updatedAt, h.disabled, h.failures = settings, c.at, false, nil
	return &answer{http.StatusCreated, c.showWebhook(h)}
}

func (a *Account) webhook(destination string) *webhook {
	for _, h := range a.hooks {
		if h.destination == destination {
			return h
		}
	}
	return nil
}

// removeWebhook is a DELETE with a body.
func (c *call) removeWebhook() *answer {
	if !c.user.admin {
		return forbidden()
	}
	e, refused := c.one()
	if refused != nil {
		return refused
	}
	destination, _ := e.text("destination")
	h := c.webhook(destination)
	if h == nil {
		return refuse(http.StatusNotFound, "Entity not found")
	}
	c.hooks = slices.DeleteFunc(c.hooks, func(o *webhook) bool { return o == h })
	return empty
}
