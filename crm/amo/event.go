package amo

import (
	"net/http"

	"github.com/dealpay/dealpay/crm"
)

// ParseEvents reads an account webhook (amocrm.ru "Webhooks"; Kommo "Webhooks"). It is unsigned and may be doubled,
// late or forged: every event only causes a read. One body may carry many leads. What is not about leads yields no
// event. Errors wrap ErrHook, except for a failed read.
func ParseEvents(r *http.Request) ([]crm.Event, error) {
	root, err := hook(r)
	if err != nil {
		return nil, err
	}
	account := root.at("account", "id").text
	var events []crm.Event
	seen := map[crm.Event]bool{}
	for _, action := range []string{"add", "update", "status", "responsible", "restore", "delete"} {
		for _, l := range root.at("leads", action).each() {
			e := crm.Event{Kind: crm.DealChanged, AccountKey: account, DealID: l.at("id").text}
			if action == "delete" {
				e.Kind = crm.DealDeleted
			}
			if own := l.at("account_id").text; e.AccountKey == "" && isID(own) {
				e.AccountKey = own
			}
			if isID(e.DealID) && !seen[e] {
				seen[e] = true
				events = append(events, e)
			}
		}
	}
	return events, nil
}

// Entered is a deal that reached a stage where our widget, or a webhook of the stage, was set up.
type Entered struct {
	AccountKey string // empty when the hook does not say; nothing in it is signed
	Subdomain  string
	DealID     string
	Pipeline   string
	Stage      string
	Code       string // what happened, "lead_appeared_in_status"; empty for a stage's webhook
}

// leadElement is the type of leads where the CRM numbers its entities.
const leadElement = "2"

// ParsePipeline reads a hook of the digital pipeline, in both of its forms: our widget as a stage's action (Kommo
// "Digital Pipeline") and a webhook that a person put into a stage. Like every hook it is only a hint. Errors wrap
// ErrHook, except for a failed read.
func ParsePipeline(r *http.Request) ([]Entered, error) {
	root, err := hook(r)
	if err != nil {
		return nil, err
	}
	account := Entered{AccountKey: root.at("account_id").text, Subdomain: root.at("subdomain").text}
	if account.AccountKey == "" {
		account.AccountKey, account.Subdomain = root.at("account", "id").text, root.at("account", "subdomain").text
	}
	var got []Entered
	add := func(n *node, code string) {
		e := account
		e.DealID, e.Pipeline, e.Stage, e.Code = n.at("id").text, n.at("pipeline_id").text, n.at("status_id").text, code
		if isID(e.DealID) {
			got = append(got, e)
		}
	}
	if data := root.at("event", "data"); data.at("element_type").text == leadElement {
		add(data, root.at("event", "type_code").text)
	}
	for _, action := range root.at("leads").each() {
		for _, l := range action.each() {
			add(l, "")
		}
	}
	return got, nil
}
