package amotest

import (
	"fmt"
	"net/http"
	"strings"
)

func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

func (c *call) getLead() *answer {
	l := c.lead(c.ids[0])
	switch {
	case l == nil:
		return empty
	case l.deleted && c.switches.DeletedGet == http.StatusNotFound:
		return refuse(http.StatusNotFound, "Entity not found")
	case l.deleted:
		return empty
	case !c.sees(l):
		return forbidden()
	}
	return &answer{http.StatusOK, c.showLead(l)}
}

func (c *call) listLeads() *answer {
	var found []map[string]any
	query := strings.ToLower(c.query().Get("query"))
	for _, l := range c.leads {
		if !l.deleted && c.sees(l) && c.passes("id", l.id) && c.inStatuses(l) && c.since("updated_at", l.updatedAt) &&
			c.passes("responsible_user_id", l.responsible) && c.passes("pipeline_id", l.pipeline) &&
			strings.Contains(strings.ToLower(l.name), query) {
			found = append(found, c.showLead(l))
		}
	}
	return c.page("leads", found)
}

// inStatuses reads filter[statuses][n][pipeline_id] and [status_id].
func (c *call) inStatuses(l *lead) bool {
	q, any := c.query(), false
	for i := range pageLimit {
		p := q.Get(fmt.Sprintf("filter[statuses][%d][pipeline_id]", i))
		s := q.Get(fmt.Sprintf("filter[statuses][%d][status_id]", i))
		if p == "" && s == "" {
			break
		}
		any = true
		if p == fmt.Sprint(l.pipeline) && s == fmt.Sprint(l.status) {
			return true
		}
	}
	return !any
}

func (c *call) showLead(l *lead) map[string]any {
	tags := l.tags
	if tags == nil {
		tags = []tag{}
	}
	embedded := map[string]any{"tags": tags, "companies": c.linked(l, "companies")}
	for _, more := range []string{"contacts", "catalog_elements"} {
		if c.with(more) {
			embedded[more] = c.linked(l, more)
		}
	}
	if c.with("loss_reason") {
		embedded["loss_reason"] = []any{}
	}
	out := map[string]any{"id": l.id, "name": l.name, "price": l.minor / 100, "responsible_user_id": l.responsible,
		"group_id": l.group, "status_id": l.status, "pipeline_id": l.pipeline, "loss_reason_id": orNull(l.lossReason),
		"source_id": nil, "created_by": l.createdBy, "updated_by": l.updatedBy, "created_at": l.createdAt,
		"updated_at": l.updatedAt, "closed_at": orNull(l.closedAt), "closest_task_at": orNull(c.closestTask(l.id)),
		"is_deleted": l.deleted, "custom_fields_values": c.showValues(l), "score": nil, "account_id": c.ID,
		"labor_cost": nil, "_links": c.self("leads/%d", l.id), "_embedded": embedded}
	if c.switches.MinorUnits {
		out["price_with_minor_units"] = float64(l.minor) / 100
	}
	if c.with("is_price_modified_by_robot") {
		out["is_price_modified_by_robot"] = false
	}
	return out
}

func (c *call) linked(l *lead, kind string) []map[string]any {
	out := []map[string]any{}
	for _, k := range l.links {
		if k.toType != kind {
			continue
		}
		one := map[string]any{"id": k.toID}
		if kind == "catalog_elements" {
			one["metadata"] = k.metadata
		} else {
			one["_links"] = c.self("%s/%d", kind, k.toID)
		}
		if kind == "contacts" {
			one["is_main"] = k.metadata["is_main"] == true
		}
		out = append(out, one)
	}
	return out
}

func (a *Account) closestTask(leadID int64) (at int64) {
	for _, t := range a.tasks {
		if t.lead == leadID && !t.done && (at == 0 || t.till < at) {
			at = t.till
		}
	}
	return at
}

// showValues is custom_fields_values: null when the lead has none.
func (a *Account) showValues(l *lead) any {
	var out []map[string]any
	for _, f := range a.fields {
		if values := l.values[f.id]; len(values) > 0 {
			out = append(out, map[string]any{"field_id": f.id, "field_name": f.name, "field_code": orNull(f.code),
				"field_type": f.kind, "values": values})
		}
	}
	if out == nil {
		return nil
	}
	return out
}
