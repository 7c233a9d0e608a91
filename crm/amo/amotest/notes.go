package amotest

import (
	"net/http"
	"slices"
)

var noteKeys = []string{"id", "entity_id", "note_type", "params", "created_by", "is_need_to_trigger_digital_pipeline",
	"created_at", "updated_at", "responsible_user_id", "group_id", "account_id"}

// noteParams lists which params a type of note needs; types that are absent cannot be made.
var noteParams = map[string][]string{
	"common":                   {"text"},
	"service_message":          {"service", "text"},
	"extended_service_message": {"service", "text"},
	"message_cashier":          {"status", "text"},
	"sms_in":                   {"text", "phone"},
	"sms_out":                  {"text", "phone"},
	"invoice_paid":             {"service", "text", "icon_url"},
}

func (c *call) showNote(n *note) map[string]any {
	return map[string]any{"id": n.id, "entity_id": n.lead, "created_by": n.createdBy, "updated_by": n.createdBy,
		"created_at": n.createdAt, "updated_at": n.updatedAt, "responsible_user_id": n.createdBy, "group_id": 0,
		"note_type": n.kind, "params": n.params, "account_id": c.ID, "_links": c.self("leads/%d/notes/%d", n.lead, n.id)}
}

// listNotes is the notes of one lead or, without a number in the path, of all.
func (c *call) listNotes() *answer {
	var found []map[string]any
	for _, n := range c.notes {
		l := c.lead(n.lead)
		ofLead := len(c.ids) == 0 && c.passes("entity_id", n.lead) || len(c.ids) > 0 && n.lead == c.ids[0]
		if ofLead && l != nil && c.sees(l) && c.passes("note_type", n.kind) && c.passes("id", n.id) &&
			c.since("updated_at", n.updatedAt) {
			found = append(found, c.showNote(n))
		}
	}
	for _, field := range []string{"id", "updated_at"} {
		if c.query().Get("order["+field+"]") == "desc" {
			slices.Reverse(found)
		}
	}
	return c.page("notes", found)
}

func (c *call) note() *note {
	for _, n := range c.notes {
		if n.id == c.ids[len(c.ids)-1] && c.lead(n.lead) != nil && c.sees(c.lead(n.lead)) {
			return n
		}
	}
	return nil
}

func (c *call) getNote() *answer {
	if n := c.note(); n != nil {
		return &answer{http.StatusOK, c.showNote(n)}
	}
	return empty
}

func (c *call) addNotes() *answer {
	list, refused := c.many()
	if refused != nil {
		return refused
	}
	var made []*note
	for _, e := range list {
		n, l := c.newNote(e)
		if l != nil && !c.edits(l) {
			return forbidden()
		}
		made = append(made, n)
	}
	if refused := verdict(list...); refused != nil {
		return refused
	}
	out := make([]map[string]any, len(list))
	for i, n := range made {
		n.id = c.next()
		c.notes = append(c.notes, n)
		out[i] = map[string]any{"id": n.id, "entity_id": n.lead, "request_id": list[i].request,
			"_links": c.self("leads/%d/notes/%d", n.lead, n.id)}
	}
	c.announceNotes(made)
	return c.written(http.StatusOK, "notes", "leads/notes", out)
}

func (c *call) newNote(e *elem) (*note, *lead) {
	e.known(noteKeys...)
	n := &note{createdBy: c.user.id, createdAt: c.at, updatedAt: c.at}
	if len(c.ids) > 0 {
		n.lead = c.ids[0]
	} else {
		n.lead, _ = e.integer("entity_id")
	}
	if by, ok := e.integer("created_by"); ok {
		n.createdBy = by
	}
	n.kind, _ = e.text("note_type")
	c.readParams(n, e)
	l := c.lead(n.lead)
	if l == nil || l.deleted {
		e.bad(refusal("NotSupportedChoice", "entity_id"))
		return n, nil
	}
	return n, l
}

func (c *call) readParams(n *note, e *elem) {
	needed, ok := noteParams[n.kind]
	if !ok || n.kind == "invoice_paid" && !c.switches.InvoiceNotes {
		e.bad(refusal("NotSupportedChoice", "note_type"))
		return
	}
	params, ok := e.data["params"].(map[string]any)
	if !ok {
		e.bad(refusal("FieldMissing", "params"))
		return
	}
	for _, key := range needed {
		if s, ok := params[key].(string); !ok || s == "" {
			e.bad(refusal("FieldMissing", "params."+key))
		}
	}
	n.params = params
}

func (c *call) patchNote() *answer {
	e, refused := c.one()
	if refused != nil {
		return refused
	}
	n := c.note()
	if n == nil {
		return refuse(http.StatusNotFound, "Entity not found")
	}
	next := *n
	e.known(noteKeys...)
	c.readParams(&next, e)
	if refused := verdict(e); refused != nil {
		return refused
	}
	next.updatedAt = c.at
	*n = next
	return &answer{http.StatusOK, map[string]any{"id": n.id, "entity_id": n.lead, "updated_at": n.updatedAt,
		"_links": c.self("leads/%d/notes/%d", n.lead, n.id)}}
}
