package bitrix24

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dealpay/dealpay/crm"
)

// events are what we want to hear of. An event only causes a read, so nothing about amounts is in the list.
var events = []string{"ONCRMDEALUPDATE", "ONCRMDEALDELETE", "ONCRMDEALMOVETOCATEGORY", "ONAPPUNINSTALL", "ONAPPUPDATE", "ONAPPPAYMENT"}

// The tab's title by the languages of crm.Langs.
var titles = map[string]string{"en": "Payment", "ru": "Оплата", "hy": "Վճարում"}

// found is what a portal already has of ours.
type found struct {
	fields     map[string]userField // by key
	placements []placement
	events     []binding
	automation bool     // the portal has rules
	robots     []string // codes of ours
}

type userField struct {
	ID     text     `json:"id"`
	Entity text     `json:"entityId"`
	Name   text     `json:"fieldName"`
	Type   text     `json:"userTypeId"`
	Enum   []option `json:"enum"`
}

type option struct {
	ID    text `json:"id"`
	Value text `json:"value"`
	XML   text `json:"xmlId"`
	Sort  text `json:"sort"`
}

type placement struct {
	Code    text `json:"placement"`
	Handler text `json:"handler"`
}

type binding struct {
	Event   text `json:"event"`
	Handler text `json:"handler"`
	Offline text `json:"offline"`
}

// registrations ask for what registered reads.
func registrations() []command {
	return []command{{method: "placement.get"}, {method: "event.get"}, {method: "bizproc.robot.list"}}
}

func (f *found) registered(got []answer) error {
	if err := json.Unmarshal(got[0].result, &f.placements); err != nil {
		return unreadable("placement.get", err)
	}
	if err := json.Unmarshal(got[1].result, &f.events); err != nil {
		return unreadable("event.get", err)
	}
	var codes []text
	f.automation = got[2].err == nil && json.Unmarshal(got[2].result, &codes) == nil
	for _, code := range codes {
		f.robots = append(f.robots, string(code))
	}
	return nil
}

// Setup makes our fields, the tab, the event subscriptions and the rules of automation, where they are missing or point to an old address:
// two requests when nothing is missing, three at a first installation. It needs the token of an administrator
// (placement.bind, userfieldconfig.add).
func (a *Account) Setup(ctx context.Context) (crm.Layout, error) {
	has, err := a.survey(ctx)
	if err != nil {
		return nil, err
	}
	cmds := a.repairs(has)
	l := layout{Fields: map[string]field{}, Options: map[crm.Status]string{}}
	if has.automation {
		l.Robots = a.c.Handlers.Robots
	}
	var made []string // keys of the fields that cmds makes, at the head of it
	var adds []command
	for _, key := range crm.FieldKeys {
		f, ok := has.fields[key]
		if !ok {
			adds, made = append(adds, a.addField(key)), append(made, key)
			continue
		}
		if string(f.Type) != typeOf(key) {
			return nil, &crm.Error{Class: crm.Refused, Op: "userfieldconfig.list", Code: "FIELD_TYPE",
				Err: fmt.Errorf("field %s has type %s", clip(string(f.Name)), clip(string(f.Type)))}
		}
		l.Fields[key] = field{string(f.ID), string(f.Name)}
	}
	got, err := a.all(ctx, append(adds, cmds...))
	if err != nil {
		return nil, err
	}
	for i, key := range made {
		f, err := parseField(got[i].result)
		if err != nil {
			return nil, unreadable("userfieldconfig.add", err)
		}
		l.Fields[key] = field{string(f.ID), string(f.Name)}
	}
	if err := a.options(ctx, &l); err != nil {
		return nil, err
	}
	return l.json(), nil
}

// survey reads what is there, in one request. Fields are looked up by name, because the list of a portal's user
// fields has pages.
func (a *Account) survey(ctx context.Context) (found, error) {
	cmds := registrations()
	for _, key := range crm.FieldKeys {
		name := fieldName(key)
		if f, ok := a.layout.Fields[key]; ok {
			name = f.Name
		}
		cmds = append(cmds, command{"userfieldconfig.list", params{"moduleId": "crm", "select": []string{"*"},
			"filter": params{"fieldName": name}}})
	}
	got, err := a.all(ctx, cmds)
	if err != nil {
		return found{}, err
	}
	has := found{fields: map[string]userField{}}
	if err := has.registered(got); err != nil {
		return found{}, err
	}
	for i, key := range crm.FieldKeys {
		var in struct {
			Fields []userField `json:"fields"`
		}
		if err := json.Unmarshal(got[len(cmds)-len(crm.FieldKeys)+i].result, &in); err != nil {
			return found{}, unreadable("userfieldconfig.list", err)
		}
		wanted := cmds[len(cmds)-len(crm.FieldKeys)+i].params["filter"].(params)["fieldName"]
		for _, f := range in.Fields {
			if f.Entity == "CRM_DEAL" && string(f.Name) == wanted {
				has.fields[key] = f
			}
		}
	}
	return has, nil
}

// repairs are the commands that bring placements, events and rules into order.
func (a *Account) repairs(has found) []command {
	var cmds []command
	tab := false
	for _, p := range has.placements {
		switch {
		case p.Code != cardPlacement:
		case string(p.Handler) == a.c.Handlers.Card && !tab:
			tab = true
		default:
			cmds = append(cmds, unbindPlacement(p))
		}
	}
	if !tab {
		names := params{}
		for lang, title := range titles {
			names[lang] = params{"TITLE": title}
		}
		cmds = append(cmds, command{"placement.bind", params{"PLACEMENT": cardPlacement, "HANDLER": a.c.Handlers.Card,
			"TITLE": a.title(), "LANG_ALL": names}})
	}
	bound := map[string]bool{}
	for _, e := range has.events {
		name := strings.ToUpper(string(e.Event))
		if string(e.Handler) == a.c.Handlers.Events && !bound[name] && !e.Offline.yes() {
			bound[name] = true
			continue
		}
		cmds = append(cmds, unbindEvent(e))
	}
	for _, name := range events {
		if !bound[name] {
			cmds = append(cmds, command{"event.bind", params{"event": name, "handler": a.c.Handlers.Events}})
		}
	}
	return append(cmds, a.robots(has)...)
}

func (a *Account) title() string {
	if t, ok := titles[a.c.Lang]; ok {
		return t
	}
	return titles["en"]
}

func unbindPlacement(p placement) command {
	return command{"placement.unbind", params{"PLACEMENT": string(p.Code), "HANDLER": string(p.Handler)}}
}

func unbindEvent(e binding) command {
	p := params{"event": string(e.Event), "handler": string(e.Handler)}
	if e.Offline.yes() {
		p = params{"event": string(e.Event), "event_type": "offline"}
	}
	return command{"event.unbind", p}
}

// Leave removes the tab, the subscriptions and the rules. Fields stay: they hold what was paid.
func (a *Account) Leave(ctx context.Context) error {
	got, err := a.all(ctx, registrations())
	if err != nil {
		return err
	}
	var has found
	if err := has.registered(got); err != nil {
		return err
	}
	var cmds []command
	for _, p := range has.placements {
		cmds = append(cmds, unbindPlacement(p))
	}
	for _, e := range has.events {
		cmds = append(cmds, unbindEvent(e))
	}
	for _, code := range has.robots {
		cmds = append(cmds, command{"bizproc.robot.delete", params{"CODE": code}})
	}
	_, err = a.all(ctx, cmds)
	return err
}

// addField makes one of our fields. The order in the form follows crm.FieldKeys.
func (a *Account) addField(key string) command {
	f := params{"entityId": "CRM_DEAL", "fieldName": fieldName(key), "userTypeId": typeOf(key), "xmlId": "DEALPAY_" + strings.ToUpper(key),
		"multiple": "N", "mandatory": "N", "editInList": "N", "isSearchable": "N", "editFormLabel": labels(key),
		"listColumnLabel": labels(key), "listFilterLabel": labels(key)}
	for i, k := range crm.FieldKeys {
		if k == key {
			f["sort"] = 1000 + 10*i
		}
	}
	switch typeOf(key) {
	case "enumeration":
		f["enum"], f["showFilter"] = a.enum(nil), "E"
		f["settings"] = params{"DISPLAY": "LIST"}
	case "datetime":
		f["settings"] = params{"USE_SECOND": "Y"}
	}
	return command{"userfieldconfig.add", params{"moduleId": "crm", "field": f}}
}

func labels(key string) params {
	p := params{}
	for _, lang := range crm.Langs {
		p[lang] = crm.FieldName(key, lang)
	}
	return p
}

// enum are the status's options: those that are there, unchanged, because people may rename them, and the missing
// ones. An option is known by its XML id, which is the status.
func (a *Account) enum(has []option) []params {
	var all []params
	known := map[text]bool{}
	for _, o := range has {
		known[o.XML] = true
		all = append(all, params{"id": string(o.ID), "value": string(o.Value), "xmlId": string(o.XML), "sort": string(o.Sort), "def": "N"})
	}
	for i, s := range crm.Statuses {
		if !known[text(s)] {
			all = append(all, params{"value": s.Label(a.c.Lang), "xmlId": string(s), "sort": 100 * (i + 1), "def": "N"})
		}
	}
	return all
}

func parseField(raw json.RawMessage) (userField, error) {
	var in struct {
		Field userField `json:"field"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return userField{}, err
	}
	if in.Field.ID == "" || in.Field.Name == "" {
		return userField{}, errors.New("no field in the answer")
	}
	return in.Field, nil
}

// options reads the ids of the status's options, after adding those that somebody deleted.
func (a *Account) options(ctx context.Context, l *layout) error {
	id := l.Fields["status"].ID
	get := command{"userfieldconfig.get", params{"moduleId": "crm", "id": id}}
	for range 2 {
		raw, err := a.one(ctx, get)
		if err != nil {
			return err
		}
		f, err := parseField(raw)
		if err != nil {
			return unreadable(get.method, err)
		}
		for _, o := range f.Enum {
			for _, s := range crm.Statuses {
				if string(o.XML) == string(s) {
					l.Options[s] = string(o.ID)
				}
			}
		}
		if len(l.Options) == len(crm.Statuses) {
			return nil
		}
		update := command{"userfieldconfig.update", params{"moduleId": "crm", "id": id,
			"field": params{"userTypeId": "enumeration", "enum": a.enum(f.Enum)}}}
		if _, err := a.one(ctx, update); err != nil {
			return err
		}
	}
	return &crm.Error{Class: crm.Refused, Op: "userfieldconfig.update", Code: "OPTIONS",
		Err: errors.New("the status's options cannot be made")}
}
