package amotest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
)

var leadKeys = []string{"id", "name", "price", "status_id", "pipeline_id", "created_by", "updated_by", "created_at",
	"updated_at", "closed_at", "loss_reason_id", "responsible_user_id", "custom_fields_values", "tags_to_add",
	"tags_to_delete", "_embedded"}

// change is a lead before and after a write; before is nil for a new one.
type change struct{ before, after *lead }

func (c *call) patchLead() *answer {
	e, refused := c.one()
	if refused != nil {
		return refused
	}
	l := c.lead(c.ids[0])
	if l == nil || l.deleted {
		return refuse(http.StatusNotFound, "Entity not found")
	}
	if !c.edits(l) {
		return forbidden()
	}
	next := c.edited(l, e)
	if refused := verdict(e); refused != nil {
		return refused
	}
	c.commit([]change{{l, next}})
	return &answer{http.StatusOK, map[string]any{"id": next.id, "updated_at": next.updatedAt,
		"_links": c.self("leads/%d", next.id)}}
}

func (c *call) patchLeads() *answer {
	list, refused := c.many()
	if refused != nil {
		return refused
	}
	var changes []change
	latest := map[int64]*lead{} // a lead may stand twice in one batch
	for _, e := range list {
		id, _ := e.integer("id")
		l := latest[id]
		if l == nil {
			l = c.lead(id)
		}
		if l == nil || l.deleted {
			e.bad(refusal("NotSupportedChoice", "id"))
			continue
		}
		if !c.edits(l) {
			return forbidden()
		}
		latest[id] = c.edited(l, e)
		changes = append(changes, change{l, latest[id]})
	}
	if refused := verdict(list...); refused != nil {
		return refused
	}
	c.commit(changes)
	out := make([]map[string]any, len(list))
	for i, e := range list {
		l := changes[i].after
		out[i] = map[string]any{"id": l.id, "updated_at": l.updatedAt, "request_id": e.request, "_links": c.self("leads/%d", l.id)}
	}
	return c.written(http.StatusOK, "leads", "leads", out)
}

func (c *call) addLeads() *answer {
	list, refused := c.many()
	if refused != nil {
		return refused
	}
	if c.user.leads.Add == "D" {
		return forbidden()
	}
	var changes []change
	for _, e := range list {
		l := &lead{name: "", responsible: c.user.id, createdBy: c.user.id, pipeline: c.pipelines[0].id,
			status: c.pipelines[0].statuses[1].id, createdAt: c.at, values: map[int64][]value{}}
		changes = append(changes, change{nil, c.edited(l, e)})
	}
	if refused := verdict(list...); refused != nil {
		return refused
	}
	out := make([]map[string]any, len(list))
	for i, e := range list {
		changes[i].after.id = c.next()
		out[i] = map[string]any{"id": changes[i].after.id, "request_id": e.request, "_links": c.self("leads/%d", changes[i].after.id)}
	}
	c.commit(changes)
	return c.written(http.StatusOK, "leads", "leads", out)
}

// edited is a copy of the lead with an element's changes; what is wrong goes to e.
func (c *call) edited(l *lead, e *elem) *lead {
	next := l.clone()
	e.known(leadKeys...)
	next.updatedBy = c.user.id
	if s, ok := e.text("name"); ok {
		next.name = s
	}
	if id, ok := e.integer("responsible_user_id"); ok {
		if next.responsible = id; c.Account.user(id) == nil {
			e.bad(refusal("NotSupportedChoice", "responsible_user_id"))
		}
	}
	if by, ok := e.integer("updated_by"); ok {
		if next.updatedBy = by; by != 0 && c.Account.user(by) == nil {
			e.bad(refusal("NotSupportedChoice", "updated_by"))
		}
	}
	if at, ok := e.integer("updated_at"); ok && at < l.updatedAt {
		e.bad(fault{"NotSupportedChoice", "updated_at", "Last modified date is older than in database"})
	}
	c.editPrice(next, e)
	c.editStage(next, e)
	c.editValues(next, e)
	c.editTags(next, e)
	return next
}

// editPrice accepts a number in major units, whole or with hundredths.
func (c *call) editPrice(l *lead, e *elem) {
	raw, there := e.data["price"]
	if !there {
		return
	}
	n, ok := raw.(json.Number)
	f, err := n.Float64()
	if !ok || err != nil {
		e.bad(wrongType("price", "int"))
		return
	}
	l.minor = int64(math.Round(f * 100))
}

// editStage: 142 and 143 stand in every pipeline, so status_id is read within pipeline_id or the
// lead's pipeline; the incoming stage cannot be entered; a loss reason needs 143.
func (c *call) editStage(l *lead, e *elem) {
	if id, ok := e.integer("pipeline_id"); ok {
		p := c.pipeline(id)
		if p == nil {
			e.bad(refusal("NotSupportedChoice", "pipeline_id"))
			return
		}
		if id != l.pipeline {
			l.pipeline, l.status = id, p.statuses[1].id
		}
	}
	if id, ok := e.integer("status_id"); ok {
		s := c.pipeline(l.pipeline).status(id)
		if s == nil || s.kind == 1 {
			e.bad(refusal("NotSupportedChoice", "status_id"))
			return
		}
		l.status = id
	}
	if id, ok := e.integer("loss_reason_id"); ok {
		if l.lossReason = id; l.status != statusLost {
			e.bad(refusal("NotSupportedChoice", "loss_reason_id"))
		}
	}
}

func (c *call) editTags(l *lead, e *elem) {
	if embedded, ok := e.data["_embedded"].(map[string]any); ok && embedded["tags"] != nil {
		l.tags = nil
		c.eachTag(e, "_embedded.tags", embedded["tags"], func(t tag) { l.tags = append(l.tags, t) })
	}
	c.eachTag(e, "tags_to_add", e.data["tags_to_add"], func(t tag) {
		if !slices.ContainsFunc(l.tags, func(o tag) bool { return o.ID == t.ID }) {
			l.tags = append(l.tags, t)
		}
	})
	c.eachTag(e, "tags_to_delete", e.data["tags_to_delete"], func(t tag) {
		l.tags = slices.DeleteFunc(l.tags, func(o tag) bool { return o.ID == t.ID })
	})
}

func (c *call) eachTag(e *elem, path string, raw any, do func(tag)) {
	list, ok := raw.([]any)
	if !ok && raw != nil {
		e.bad(wrongType(path, "array"))
	}
	for i, item := range list {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		id, _ := m["id"].(json.Number)
		n, _ := id.Int64()
		t := c.tag(n, name)
		if t == nil {
			e.bad(refusal("NotSupportedChoice", fmt.Sprintf("%s.%d", path, i)))
			continue
		}
		do(*t)
	}
}

// tag finds a tag by id, or finds or makes one by name.
func (a *Account) tag(id int64, name string) *tag {
	for i, t := range a.tags {
		if id != 0 && t.ID == id || id == 0 && strings.EqualFold(t.Name, name) {
			return &a.tags[i]
		}
	}
	if id != 0 || name == "" {
		return nil
	}
	a.tags = append(a.tags, tag{ID: a.next(), Name: name})
	return &a.tags[len(a.tags)-1]
}
