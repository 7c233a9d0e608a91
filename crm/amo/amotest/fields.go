package amotest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

var (
	fieldKeys = []string{"id", "name", "type", "code", "sort", "group_id", "is_api_only", "enums", "currency",
		"required_statuses", "tracking_callback", "remind", "is_visible", "is_required", "settings", "triggers"}
	fieldTypes = []string{"text", "numeric", "checkbox", "select", "multiselect", "multitext", "date", "url", "textarea",
		"radiobutton", "streetaddress", "smart_address", "birthday", "legal_entity", "date_time", "price",
		"tracking_data", "linked_entity", "monetary", "file"}
	fieldOwners = []string{"leads", "contacts", "companies", "customers"}
)

func (c *call) fieldsOf() ([]*field, *answer) {
	if !slices.Contains(fieldOwners, c.name) {
		return nil, refuse(http.StatusNotFound, fmt.Sprintf("Cannot %s %s%s", c.r.Method, c.url, c.r.URL.Path))
	}
	var out []*field
	for _, f := range c.fields {
		if f.entity == c.name {
			out = append(out, f)
		}
	}
	return out, nil
}

func (c *call) showField(f *field) map[string]any {
	var enums any
	if len(f.enums) > 0 {
		enums = f.enums
	}
	required := f.required
	if required == nil {
		required = []any{}
	}
	return map[string]any{"id": f.id, "name": f.name, "type": f.kind, "account_id": c.ID, "code": orNull(f.code),
		"sort": f.sort, "is_api_only": f.apiOnly, "enums": enums, "group_id": f.group, "required_statuses": required,
		"is_deletable": !f.system, "is_predefined": f.system, "entity_type": f.entity, "tracking_callback": f.callback,
		"remind": nil, "triggers": []any{}, "currency": f.currency, "hidden_statuses": []any{}, "chained_lists": nil,
		"_links": c.self("%s/custom_fields/%d", f.entity, f.id)}
}

func (c *call) listFields() *answer {
	all, refused := c.fieldsOf()
	if refused != nil {
		return refused
	}
	var found []map[string]any
	for _, f := range all {
		if c.passes("type", f.kind) && c.passes("id", f.id) {
			found = append(found, c.showField(f))
		}
	}
	out := c.page("custom_fields", found)
	if body, ok := out.body.(map[string]any); ok && out.status == http.StatusOK {
		body["_total_items"] = len(found)
	}
	return out
}

func (c *call) field() (*field, *answer) {
	all, refused := c.fieldsOf()
	if refused != nil {
		return nil, refused
	}
	for _, f := range all {
		if f.id == c.ids[0] {
			return f, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "Entity not found")
}

func (c *call) getField() *answer {
	f, refused := c.field()
	if refused != nil {
		return refused
	}
	return &answer{http.StatusOK, c.showField(f)}
}

func (c *call) addFields() *answer {
	all, refused := c.fieldsOf()
	if refused != nil {
		return refused
	}
	if !c.user.admin {
		return forbidden()
	}
	list, refused := c.many()
	if refused != nil {
		return refused
	}
	var made []*field
	for _, e := range list {
		f := &field{entity: c.name, sort: 500}
		c.describe(f, e)
		kind, _ := e.text("type")
		if f.kind = kind; !slices.Contains(fieldTypes, kind) {
			e.bad(refusal("NotSupportedChoice", "type"))
		}
		if f.name == "" {
			e.bad(refusal("FieldMissing", "name"))
		}
		if taken(append(all, made...), f.code) {
			e.bad(refusal("NotUnique", "code"))
		}
		made = append(made, f)
	}
	if refused := verdict(list...); refused != nil {
		return refused
	}
	out := make([]map[string]any, len(list))
	for i, f := range made {
		f.id = c.next()
		c.fields = append(c.fields, f)
		out[i] = c.showField(f)
		out[i]["request_id"] = list[i].request
	}
	done := c.written(http.StatusCreated, "custom_fields", c.name+"/custom_fields", out)
	done.body.(map[string]any)["_total_items"] = len(out)
	return done
}

func taken(all []*field, code string) bool {
	return code != "" && slices.ContainsFunc(all, func(f *field) bool { return strings.EqualFold(f.code, code) })
}

// describe takes over what an element says about a field, except its type.
func (c *call) describe(f *field, e *elem) {
	e.known(fieldKeys...)
	if s, ok := e.text("name"); ok {
		f.name = s
	}
	if s, ok := e.text("code"); ok {
		f.code = s
	}
	if n, ok := e.integer("sort"); ok {
		f.sort = n
	}
	if b, ok := e.flag("is_api_only"); ok {
		f.apiOnly = b
	}
	if s, ok := e.text("currency"); ok {
		f.currency = s
	}
	if raw, there := e.data["enums"]; there && raw != nil {
		c.options(f, e, raw)
	}
}

// options replaces the choices of a field; choices with a known id keep it.
func (c *call) options(f *field, e *elem, raw any) {
	list, ok := raw.([]any)
	if !ok {
		e.bad(wrongType("enums", "array"))
		return
	}
	var next []enum
	for i, item := range list {
		m, _ := item.(map[string]any)
		sub := &elem{data: m}
		text, _ := sub.text("value")
		if text == "" {
			e.bad(refusal("FieldMissing", fmt.Sprintf("enums.%d.value", i)))
		}
		o := enum{Value: text, Sort: int64(500 + i)}
		o.ID, _ = sub.integer("id")
		if o.ID == 0 {
			o.ID = c.next()
		} else if !slices.ContainsFunc(f.enums, func(old enum) bool { return old.ID == o.ID }) {
			e.bad(refusal("NotSupportedChoice", fmt.Sprintf("enums.%d.id", i)))
		}
		if n, ok := sub.integer("sort"); ok {
			o.Sort = n
		}
		if code, ok := sub.text("code"); ok {
			o.Code = &code
		}
		next = append(next, o)
	}
	f.enums = next
}

func (c *call) patchField() *answer {
	f, refused := c.field()
	if refused != nil {
		return refused
	}
	if !c.user.admin {
		return forbidden()
	}
	e, refused := c.one()
	if refused != nil {
		return refused
	}
	next := *f
	c.describe(&next, e)
	if refused := verdict(e); refused != nil {
		return refused
	}
	*f = next
	return &answer{http.StatusOK, c.showField(f)}
}

func (c *call) deleteField() *answer {
	f, refused := c.field()
	switch {
	case refused != nil:
		return refused
	case !c.user.admin || f.system:
		return forbidden()
	}
	c.fields = slices.DeleteFunc(c.fields, func(o *field) bool { return o == f })
	for _, l := range c.leads {
		delete(l.values, f.id)
	}
	return empty
}
