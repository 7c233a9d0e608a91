package bitrix24

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// layout is what Setup made: our fields by the keys of crm.FieldKeys, and the options of the status.
type layout struct {
	Fields  map[string]field      `json:"fields"`
	Options map[crm.Status]string `json:"options"`          // option id by status
	Robots  string                `json:"robots,omitempty"` // where the rules were registered to call; empty without automation
	elsewhere
}

// elsewhere is what the tenant's settings say of fields; it is not kept with the layout.
type elsewhere struct {
	places crm.Places
	lang   string         // of a status in a field of text
	zone   *time.Location // whose days are written to fields of dates
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
	for key, p := range l.places[s.Pipeline] {
		out[l.Fields[key].Name] = ""
		if p.Field != crm.Nowhere {
			out[p.Field] = l.value(s, key, p.Type)
		}
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
	for key, p := range l.places[s.Pipeline] {
		l.take(&s, key, p.Type, item.text(p.Field)) // no field is called Nowhere
	}
	return s
}

// value is the value of a key as a field of the customer's holds it.
func (l layout) value(s crm.State, key string, kind crm.FieldType) string {
	switch kind {
	case crm.MoneyField:
		return money(*s.Amount(key))
	case crm.NumberField:
		return s.Amount(key).Decimal
	case crm.DateTimeField:
		return moment(*s.Moment(key))
	case crm.DateField:
		if at := *s.Moment(key); !at.IsZero() {
			return at.In(cmp.Or(l.zone, time.UTC)).Format(time.DateOnly)
		}
		return ""
	default:
		return s.Text(key, l.lang)
	}
}

// take reads a value back.
func (l layout) take(s *crm.State, key string, kind crm.FieldType, raw string) {
	switch kind {
	case crm.MoneyField:
		*s.Amount(key) = parseMoney(raw)
	case crm.NumberField:
		*s.Amount(key) = crm.Money{Decimal: decimal(raw)} // which currency it is, the field does not say
	case crm.DateTimeField, crm.DateField:
		*s.Moment(key) = parseMoment(raw)
	default:
		s.SetText(key, raw)
	}
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

// gone names a field of the customer's that a value should have gone to and that an item does not have.
func (l layout) gone(pipeline string, item object) string {
	for _, p := range l.places[pipeline] {
		if p.Field != crm.Nowhere && item[p.Field] == nil {
			return p.Field
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

// fieldKinds are the types of user fields that values of ours fit into. An integer would lose what is behind the point.
var fieldKinds = map[string]crm.FieldType{"string": crm.TextField, "double": crm.NumberField, "money": crm.MoneyField, "url": crm.LinkField,
	"date": crm.DateField, "datetime": crm.DateTimeField}

// Fields lists the customer's own fields of deals, by name. What a deal has by itself (title, amount) is not for us to write.
func (a *Account) Fields(ctx context.Context) ([]crm.Field, error) {
	raw, err := a.one(ctx, command{method: "crm.deal.fields"})
	if err != nil {
		return nil, err
	}
	var in map[string]struct {
		Type      text `json:"type"`
		ReadOnly  text `json:"isReadOnly"`
		Immutable text `json:"isImmutable"`
		Multiple  text `json:"isMultiple"`
		Title     text `json:"title"`
		FormLabel text `json:"formLabel"`
		ListLabel text `json:"listLabel"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, unreadable("crm.deal.fields", err)
	}
	ours := map[string]bool{}
	for _, key := range crm.FieldKeys {
		ours[fieldName(key)], ours[a.layout.Fields[key].Name] = true, true
	}
	all := []crm.Field{}
	for name, f := range in {
		if !strings.HasPrefix(name, "UF_CRM_") || ours[name] {
			continue
		}
		kind := crm.OtherField
		if k, ok := fieldKinds[string(f.Type)]; ok && !f.Multiple.yes() {
			kind = k
		}
		all = append(all, crm.Field{ID: name, Name: string(cmp.Or(f.FormLabel, f.ListLabel, f.Title, text(name))), Type: kind,
			Writable: !f.ReadOnly.yes() && !f.Immutable.yes()})
	}
	slices.SortFunc(all, func(a, b crm.Field) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}
