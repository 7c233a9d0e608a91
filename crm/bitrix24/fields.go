package bitrix24

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// layout is what Setup made: our fields by the keys of crm.FieldKeys, and the options of the status.
type layout struct {
	Fields  map[string]field      `json:"fields"`
	Options map[crm.Status]string `json:"options"`          // option id by status
	Robots  string                `json:"robots,omitempty"` // where the rules were registered to call; empty without automation
}

// field is one user field. Name is what the portal calls it, which need not be what we asked for.
type field struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func parseLayout(raw crm.Layout) layout {
	var l layout
	if json.Unmarshal(raw, &l) != nil || len(l.Fields) != len(crm.FieldKeys) {
		return layout{}
	}
	return l
}

// types are the user field types of our fields; the rest is "string".
var types = map[string]string{"status": "enumeration", "paid": "money", "refunded": "money", "outstanding": "money",
	"link": "url", "paid_at": "datetime", "refunded_at": "datetime"}

func typeOf(key string) string {
	if t, ok := types[key]; ok {
		return t
	}
	return "string"
}

// fieldName is the code we ask for. User fields of deals begin with UF_CRM_DEAL_ (vendor documentation
// "userfieldconfig.add").
func fieldName(key string) string { return "UF_CRM_DEAL_DEALPAY_" + strings.ToUpper(key) }

// write is the state as fields of crm.item.update; what is empty clears its field.
func (l layout) write(s crm.State) params {
	values := map[string]string{"status": l.Options[s.Status], "paid": money(s.Paid), "refunded": money(s.Refunded),
		"outstanding": money(s.Outstanding), "link": s.Link, "paid_at": moment(s.PaidAt),
		"refunded_at": moment(s.RefundedAt), "reference": s.Reference}
	out := params{}
	for key, f := range l.Fields {
		out[f.Name] = values[key]
	}
	if s.Stage != "" {
		out["stageId"] = s.Stage
		if s.Pipeline != "" {
			out["categoryId"] = s.Pipeline
		}
	}
	return out
}

// read is the state that an item's fields hold.
func (l layout) read(item object) crm.State {
	value := func(key string) string { return item.text(l.Fields[key].Name) }
	s := crm.State{Paid: parseMoney(value("paid")), Refunded: parseMoney(value("refunded")),
		Outstanding: parseMoney(value("outstanding")), Link: value("link"), PaidAt: parseMoment(value("paid_at")),
		RefundedAt: parseMoment(value("refunded_at")), Reference: value("reference"),
		Pipeline: item.text("categoryId"), Stage: item.text("stageId")}
	option := value("status")
	for status, id := range l.Options {
		if id == option {
			s.Status = status
		}
	}
	return s
}

// lost names a field of ours that an item does not have. Portals ignore unknown fields silently, so this is the
// only sign that an administrator deleted one, or that a portal does not know useOriginalUfNames.
func (l layout) lost(item object) string {
	for _, key := range crm.FieldKeys {
		if name := l.Fields[key].Name; item[name] == nil {
			return name
		}
	}
	return ""
}

// money is an amount as user fields of type money hold it: "150000.00|AMD".
func money(m crm.Money) string {
	if m.Decimal == "" {
		return ""
	}
	return m.Decimal + "|" + m.Currency
}

func parseMoney(s string) crm.Money {
	decimal, currency, ok := strings.Cut(s, "|")
	if !ok || decimal == "" {
		return crm.Money{}
	}
	return crm.Money{Decimal: decimal, Currency: currency}
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05-07:00")
}

// parseMoment reads a datetime, which carries the portal's offset.
func parseMoment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func (l layout) json() crm.Layout {
	raw, _ := json.Marshal(l) // maps of strings always encode
	return raw
}
