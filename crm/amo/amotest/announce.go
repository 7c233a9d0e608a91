package amotest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// entry is one key of an ordered tree that becomes a form body: a string, a list or a tree.
type entry struct {
	key   string
	value any
}

type tree []entry

// form writes a tree the way PHP does: leads[status][0][id]=1. Every value is a string.
func (t tree) form() string {
	var out []string
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case tree:
			for _, e := range v {
				name := e.key
				if prefix != "" {
					name = prefix + "[" + e.key + "]"
				}
				walk(name, e.value)
			}
		case []any:
			for i, item := range v {
				walk(fmt.Sprintf("%s[%d]", prefix, i), item)
			}
		default:
			out = append(out, url.QueryEscape(prefix)+"="+url.QueryEscape(fmt.Sprint(v)))
		}
	}
	walk("", t)
	return strings.Join(out, "&")
}

// announce queues a webhook with these leads to every subscription of the action ("Webhooks":
// format). One body carries them all, indexed.
func (a *Account) announce(action string, changes []change) {
	if len(changes) == 0 {
		return
	}
	var items []any
	for _, ch := range changes {
		items = append(items, a.leadEntry(action, ch))
	}
	a.publish(action+"_lead", "leads", action, items)
}

func (a *Account) publish(event, entity, action string, items []any) {
	body := tree{}
	if a.switches.AccountInHooks {
		body = append(body, a.accountEntry(a.ID))
	}
	body = append(body, entry{entity, tree{{action, items}}})
	for _, h := range a.hooks {
		if slices.Contains(h.settings, event) && !h.disabled {
			a.enqueue(&delivery{hook: h, event: event, url: h.destination, kind: formType, body: body.form()})
		}
	}
}

func (a *Account) accountEntry(id int64) entry {
	host := a.sub + "." + a.server.config.Variant.Zone
	return entry{"account", tree{{"subdomain", a.sub}, {"id", id}, {"_links", tree{{"self", a.server.base(host)}}}}}
}

// leadEntry is a lead as webhooks write it; a deleted one has only its place.
func (a *Account) leadEntry(action string, ch change) tree {
	l := ch.after
	if action == "delete" {
		return tree{{"id", l.id}, {"status_id", l.status}, {"pipeline_id", l.pipeline}}
	}
	t := tree{{"id", l.id}, {"name", l.name}, {"status_id", l.status}}
	if action == "status" {
		t = append(t, entry{"old_status_id", ch.before.status})
	}
	t = append(t, entry{"price", l.minor / 100}, entry{"responsible_user_id", l.responsible},
		entry{"last_modified", l.updatedAt}, entry{"modified_user_id", l.updatedBy}, entry{"created_user_id", l.createdBy},
		entry{"date_create", l.createdAt}, entry{"pipeline_id", l.pipeline}, entry{"account_id", a.ID})
	if fields := a.hookFields(l); len(fields) > 0 {
		t = append(t, entry{"custom_fields", fields})
	}
	if action == "responsible" {
		t = append(t, entry{"old_responsible_user_id", ch.before.responsible})
	}
	return append(t, entry{"created_at", l.createdAt}, entry{"updated_at", l.updatedAt})
}

// hookFields writes custom fields in the older API's shape: dates are bare strings.
func (a *Account) hookFields(l *lead) []any {
	var out []any
	for _, f := range a.fields {
		var values []any
		for _, v := range l.values[f.id] {
			switch {
			case strings.HasPrefix(f.kind, "date"):
				values = append(values, v.Value)
			case v.Value == true:
				values = append(values, tree{{"value", "1"}})
			case v.EnumID != 0:
				values = append(values, tree{{"value", v.Value}, {"enum", v.EnumID}})
			default:
				values = append(values, tree{{"value", v.Value}})
			}
		}
		if values == nil {
			continue
		}
		t := tree{{"id", f.id}, {"name", f.name}, {"values", values}}
		if f.code != "" {
			t = append(t, entry{"code", f.code})
		}
		out = append(out, t)
	}
	return out
}

// announceNotes: a note's webhook wraps each note and uses the older API's numbers.
func (a *Account) announceNotes(made []*note) {
	var items []any
	for _, n := range made {
		items = append(items, tree{{"note", tree{{"id", n.id}, {"note_type", 4}, {"text", noteText(n)}, {"element_id", n.lead},
			{"element_type", 2}, {"created_by", n.createdBy}, {"date_create", n.createdAt}, {"account_id", a.ID}}}})
	}
	a.publish("note_lead", "leads", "note", items)
}

func noteText(n *note) string {
	text, _ := n.params["text"].(string)
	return text
}

// trigger is a Digital Pipeline action: our widget's hook when a lead enters a stage.
type trigger struct {
	Pipeline int64          `json:"pipeline,string"`
	Status   int64          `json:"status,string"`
	URL      string         `json:"url"`
	Settings map[string]any `json:"settings"`
}

// Automate adds a Digital Pipeline action of our widget to a stage, as an administrator would.
// url "" means dp.webhook_url of the archive's manifest.
func (a *Account) Automate(pipelineID, statusID int64, target string, settings map[string]any) error {
	if target == "" {
		archive, err := a.server.archive()
		if err != nil {
			return err
		}
		if target = archive.Manifest.DP.WebhookURL; target == "" {
			return fmt.Errorf("the manifest has no dp.webhook_url")
		}
	}
	if settings == nil {
		settings = map[string]any{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.triggers = append(a.triggers, trigger{pipelineID, statusID, target, settings})
	return nil
}

// trigger queues the Digital Pipeline hooks of a moved lead.
func (a *Account) trigger(ch change) {
	for _, t := range a.triggers {
		if t.Pipeline != ch.after.pipeline || t.Status != ch.after.status {
			continue
		}
		d := &delivery{event: "digital_pipeline", url: t.URL, kind: "application/json"}
		if a.switches.PipelineForm {
			d.kind, d.body = formType, a.pipelineTree(ch.after, t).form()
		} else {
			b, _ := json.Marshal(plain(a.pipelineTree(ch.after, t)))
			d.body = string(b)
		}
		a.enqueue(d)
	}
}

func (a *Account) pipelineTree(l *lead, t trigger) tree {
	return tree{
		{"event", tree{{"type", 14}, {"type_code", "lead_status_changed"}, {"data", tree{{"id", l.id}, {"element_type", 2},
			{"status_id", l.status}, {"pipeline_id", l.pipeline}, {"direction_of_movement", "went_to_trigger"}}}, {"time", l.updatedAt}}},
		{"action", tree{{"settings", tree{{"widget", tree{{"settings", settingsTree(t.Settings)}}}}}}},
		{"subdomain", a.sub}, {"account_id", fmt.Sprint(a.ID)}}
}

func settingsTree(m map[string]any) tree {
	t := tree{}
	for k, v := range m {
		t = append(t, entry{k, v})
	}
	return t
}

// plain is a tree as JSON objects.
func plain(v any) any {
	t, ok := v.(tree)
	if !ok {
		return v
	}
	m := map[string]any{}
	for _, e := range t {
		m[e.key] = plain(e.value)
	}
	return m
}

// lie is what a forged webhook claims: another account, and the lead won for nothing.
func (a *Account) lie(event string, l *lead) string {
	action, _, _ := strings.Cut(event, "_")
	return tree{a.accountEntry(a.ID + 1), {"leads", tree{{action, []any{tree{{"id", l.id}, {"status_id", statusWon},
		{"old_status_id", l.status}, {"pipeline_id", l.pipeline}, {"price", 0}, {"account_id", a.ID + 1}}}}}}}.form()
}
