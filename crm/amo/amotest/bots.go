package amotest

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"
)

// Limits of a salesbot's continuation ("Salesbot": widget_request).
const (
	maxHandlers = 10
	maxShow     = 80
	maxButtons  = 25
)

func (c *call) listCatalogs() *answer { return empty }

func (c *call) getWidget() *answer {
	if c.name != c.server.config.WidgetCode {
		return empty
	}
	return &answer{http.StatusOK, map[string]any{"id": 742, "code": c.name, "version": "1.0.0", "rating": "0", "settings_template": []any{},
		"is_lead_source": false, "is_work_with_dp": true, "is_crm_template": false, "client_uuid": c.server.config.ClientID,
		"is_active_in_account": c.installed, "pipeline_id": nil, "_links": c.self("widgets/%s", c.name)}}
}

// runBots accepts one object or an array; the runs stand in the control state.
func (c *call) runBots() *answer {
	raw, refused := c.body()
	if refused != nil {
		return refused
	}
	list, ok := raw.([]any)
	if !ok {
		list = []any{raw}
	}
	if len(list) > 100 {
		return refuse(http.StatusUnprocessableEntity, "Limit 100 per request")
	}
	var elems []*elem
	for i, item := range list {
		m, _ := item.(map[string]any)
		e := newElem(m, i)
		if id, _ := e.integer("bot_id"); id <= 0 {
			e.bad(refusal("TooLow", "bot_id"))
		}
		c.checkBotEntity(e)
		elems = append(elems, e)
	}
	return c.botsStarted(elems)
}

func (c *call) runBot() *answer {
	e, refused := c.one()
	if refused != nil {
		return refused
	}
	e.data["bot_id"] = c.ids[0]
	c.checkBotEntity(e)
	return c.botsStarted([]*elem{e})
}

func (c *call) checkBotEntity(e *elem) {
	if id, _ := e.integer("entity_id"); id <= 0 {
		e.bad(refusal("TooLow", "entity_id"))
	}
	if kind, _ := e.text("entity_type"); kind != "leads" && kind != "contacts" {
		e.bad(refusal("NotSupportedChoice", "entity_type"))
	}
}

func (c *call) botsStarted(list []*elem) *answer {
	if refused := verdict(list...); refused != nil {
		return refused
	}
	for _, e := range list {
		c.bots = append(c.bots, e.data)
	}
	return &answer{http.StatusAccepted, map[string]any{"success": true}}
}

// continueBot checks the documented limits of execute_handlers.
func (c *call) continueBot() *answer {
	e, refused := c.one()
	if refused != nil {
		return refused
	}
	raw, _ := json.Marshal(e.data["execute_handlers"])
	var handlers []struct {
		Handler string
		Params  struct {
			Type    string
			Value   string
			Buttons []any
		}
	}
	if json.Unmarshal(raw, &handlers) != nil || len(handlers) > maxHandlers {
		e.bad(refusal("NotSupportedChoice", "execute_handlers"))
	}
	for _, h := range handlers {
		if h.Handler != "show" && h.Handler != "goto" || utf8.RuneCountInString(h.Params.Value) > maxShow || len(h.Params.Buttons) > maxButtons {
			e.bad(refusal("NotSupportedChoice", "execute_handlers"))
		}
	}
	return c.botsStarted([]*elem{e})
}

func (c *call) addShortLinks() *answer {
	list, refused := c.many()
	if refused != nil {
		return refused
	}
	var out []map[string]any
	for _, e := range list {
		target, _ := e.text("url")
		if target == "" {
			e.bad(refusal("FieldMissing", "url"))
		}
		out = append(out, map[string]any{"account_id": c.ID, "url": c.url + "/s/" + e.request.(string), "request_id": e.request})
	}
	if refused := verdict(list...); refused != nil {
		return refused
	}
	return c.total("short_links", out, "short_links")
}
