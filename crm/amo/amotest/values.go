package amotest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// editValues reads custom_fields_values: only the listed fields change, null or an empty list
// clears one.
func (c *call) editValues(l *lead, e *elem) {
	raw, there := e.data["custom_fields_values"]
	if !there || raw == nil {
		return
	}
	list, ok := raw.([]any)
	if !ok {
		e.bad(wrongType("custom_fields_values", "array"))
		return
	}
	for i, item := range list {
		path := fmt.Sprintf("custom_fields_values.%d", i)
		m, _ := item.(map[string]any)
		f, fault := c.addressed(m, path)
		if fault != nil {
			e.bad(*fault)
			continue
		}
		values, faults := f.readAll(m["values"], path)
		e.faults = append(e.faults, faults...)
		if len(values) == 0 {
			delete(l.values, f.id)
		} else {
			l.values[f.id] = values
		}
	}
}

// addressed finds the field that field_id or field_code names.
func (c *call) addressed(m map[string]any, path string) (*field, *fault) {
	refused := refusal("NotSupportedChoice", path+".field_id")
	id, hasID := m["field_id"].(json.Number)
	code, hasCode := m["field_code"].(string)
	if _, there := m["values"]; !there {
		refused = refusal("FieldMissing", path+".values")
		return nil, &refused
	}
	var f *field
	switch n, err := id.Int64(); {
	case hasID && err == nil:
		f = c.leadField(n, "")
	case hasCode:
		refused.Path = path + ".field_code"
		f = c.leadField(0, code)
	}
	if f == nil {
		return nil, &refused
	}
	return f, nil
}

// leadField finds a field of leads by id or, when id is 0, by code.
func (a *Account) leadField(id int64, code string) *field {
	for _, f := range a.fields {
		if f.entity == "leads" && (id != 0 && f.id == id || id == 0 && code != "" && f.code == code) {
			return f
		}
	}
	return nil
}

func (f *field) readAll(raw any, path string) (out []value, faults []fault) {
	if raw == nil {
		return nil, nil
	}
	list, ok := raw.([]any)
	if !ok {
		return nil, []fault{wrongType(path+".values", "array")}
	}
	if len(list) > 1 && f.kind != "multiselect" && f.kind != "multitext" {
		return nil, []fault{refusal("NotSupportedChoice", path+".values")}
	}
	for j, item := range list {
		m, _ := item.(map[string]any)
		v, bad := f.read(m)
		if bad != nil {
			bad.Path = fmt.Sprintf("%s.values.%d.%s", path, j, bad.Path)
			faults = append(faults, *bad)
			continue
		}
		out = append(out, v)
	}
	return out, faults
}

// read turns a written value into the one that reads answer, by the field's type ("Custom
// fields": value shapes).
func (f *field) read(m map[string]any) (value, *fault) {
	raw, wrong := m["value"], wrongType("value", "string")
	switch f.kind {
	case "select", "radiobutton", "multiselect":
		return f.choose(m)
	case "numeric", "monetary":
		if s, ok := decimal(raw); ok {
			return value{Value: s}, nil
		}
		wrong = wrongType("value", "numeric")
	case "checkbox":
		if b, ok := raw.(bool); ok {
			return value{Value: b}, nil
		}
		wrong = wrongType("value", "bool")
	case "date", "date_time", "birthday":
		if at, ok := instant(raw); ok {
			return value{Value: at}, nil
		}
		wrong = wrongType("value", "DateTime")
	case "url":
		if s, ok := raw.(string); ok {
			if u, err := url.Parse(s); err == nil && u.Host != "" {
				return value{Value: s}, nil
			}
			return value{}, &fault{"InvalidUrl", "value", "This value is not a valid URL."}
		}
	default:
		if s, ok := raw.(string); ok {
			return value{Value: s}, nil
		}
	}
	return value{}, &wrong
}

func (f *field) choose(m map[string]any) (value, *fault) {
	id, _ := m["enum_id"].(json.Number)
	n, _ := id.Int64()
	code, _ := m["enum_code"].(string)
	text, _ := m["value"].(string)
	for _, o := range f.enums {
		byCode := n == 0 && code != "" && o.Code != nil && *o.Code == code
		byText := n == 0 && code == "" && text != "" && o.Value == text
		if n != 0 && o.ID == n || byCode || byText {
			return value{Value: o.Value, EnumID: o.ID, EnumCode: o.Code}, nil
		}
	}
	path := "value"
	switch {
	case n != 0:
		path = "enum_id"
	case code != "":
		path = "enum_code"
	}
	refused := refusal("NotSupportedChoice", path)
	return value{}, &refused
}

func decimal(raw any) (string, bool) {
	text := fmt.Sprint(raw)
	_, isText := raw.(string)
	_, isNumber := raw.(json.Number)
	_, err := strconv.ParseFloat(text, 64)
	return text, err == nil && (isText || isNumber)
}

func instant(raw any) (int64, bool) {
	switch v := raw.(type) {
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return at.Unix(), true
		}
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	return 0, false
}
