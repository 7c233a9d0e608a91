package amotest

import (
	"fmt"
	"net/http"
	"slices"
)

var (
	linkKeys = []string{"to_entity_id", "to_entity_type", "metadata", "entity_id", "entity_type"}
	linkable = []string{"catalog_elements", "contacts", "companies", "customers"}
)

func showLink(leadID int64, k link) map[string]any {
	return map[string]any{"entity_id": leadID, "entity_type": "leads", "to_entity_id": k.toID, "to_entity_type": k.toType,
		"metadata": k.metadata}
}

func (c *call) listLinks() *answer {
	l, refused := c.pathLead(false)
	if refused != nil {
		return refused
	}
	var all []map[string]any
	for _, k := range l.links {
		all = append(all, showLink(l.id, k))
	}
	return c.total("links", all, "leads/%d/links", l.id)
}

// massLinks is GET leads/links with filter[entity_id].
func (c *call) massLinks() *answer {
	var all []map[string]any
	for _, l := range c.leads {
		if !l.deleted && c.sees(l) && c.passes("entity_id", l.id) {
			for _, k := range l.links {
				all = append(all, showLink(l.id, k))
			}
		}
	}
	return c.page("links", all)
}

// pathLead is the lead that the path names, when the user may see or edit it.
func (c *call) pathLead(edit bool) (*lead, *answer) {
	l := c.lead(c.ids[0])
	switch {
	case l == nil || l.deleted:
		return nil, refuse(http.StatusNotFound, "Entity not found")
	case edit && !c.edits(l), !c.sees(l):
		return nil, forbidden()
	}
	return l, nil
}

func (c *call) readLinks() (*lead, []link, *answer) {
	l, refused := c.pathLead(true)
	if refused != nil {
		return nil, nil, refused
	}
	list, refused := c.many()
	if refused != nil {
		return nil, nil, refused
	}
	var out []link
	for _, e := range list {
		e.known(linkKeys...)
		k := link{}
		k.toID, _ = e.integer("to_entity_id")
		k.toType, _ = e.text("to_entity_type")
		k.metadata, _ = e.data["metadata"].(map[string]any)
		if !slices.Contains(linkable, k.toType) {
			e.bad(refusal("NotSupportedChoice", "to_entity_type"))
		} else if k.toType == "contacts" && c.contact(k.toID) == nil {
			e.bad(refusal("NotSupportedChoice", "to_entity_id"))
		}
		out = append(out, k)
	}
	return l, out, verdict(list...)
}

func sameTarget(k link) func(link) bool {
	return func(o link) bool { return o.toType == k.toType && o.toID == k.toID }
}

func (c *call) addLinks() *answer {
	l, added, refused := c.readLinks()
	if refused != nil {
		return refused
	}
	var out []map[string]any
	for _, k := range added {
		l.links = append(slices.DeleteFunc(l.links, sameTarget(k)), k)
		out = append(out, showLink(l.id, k))
	}
	return c.total("links", out, "leads/%d/links", l.id)
}

func (c *call) removeLinks() *answer {
	l, gone, refused := c.readLinks()
	if refused != nil {
		return refused
	}
	for _, k := range gone {
		l.links = slices.DeleteFunc(l.links, sameTarget(k))
	}
	return empty
}

func (c *call) listTags() *answer {
	var all []map[string]any
	for _, t := range c.tags {
		if c.passes("id", t.ID) && c.passes("name", t.Name) {
			all = append(all, map[string]any{"id": t.ID, "name": t.Name, "color": t.Color})
		}
	}
	return c.page("tags", all)
}

func (c *call) addTags() *answer {
	list, refused := c.many()
	if refused != nil {
		return refused
	}
	for _, e := range list {
		e.known("name", "color")
		if name, _ := e.text("name"); name == "" {
			e.bad(refusal("FieldMissing", "name"))
		}
	}
	if refused := verdict(list...); refused != nil {
		return refused
	}
	out := make([]map[string]any, len(list))
	for i, e := range list {
		t := c.tag(0, fmt.Sprint(e.data["name"]))
		t.Color = e.data["color"]
		out[i] = map[string]any{"id": t.ID, "name": t.Name, "request_id": e.request}
	}
	return c.total("tags", out, "leads/tags")
}

func (c *call) listEvents() *answer {
	var found []map[string]any
	for i := len(c.events) - 1; i >= 0; i-- {
		ev := c.events[i]
		if c.passes("entity", "lead") && c.passes("entity_id", ev.lead) && c.passes("type", ev.kind) && c.since("created_at", ev.at) {
			found = append(found, map[string]any{"id": ev.id, "type": ev.kind, "entity_id": ev.lead, "entity_type": "lead",
				"created_by": ev.by, "created_at": ev.at, "value_after": ev.after, "value_before": ev.before, "account_id": c.ID,
				"_links": c.self("events/%s", ev.id), "_embedded": map[string]any{"entity": map[string]any{"id": ev.lead}}})
		}
	}
	return c.page("events", found)
}
