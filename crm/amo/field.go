package amo

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// currencyKey is a field of ours beside crm.FieldKeys: amounts are numeric fields, which carry no currency.
const currencyKey = "currency"

// fieldTypes are the types of our fields (amocrm.ru "Custom fields"; Kommo "Custom fields").
var fieldTypes = map[string]string{"status": "select", "paid": "numeric", "refunded": "numeric",
	"outstanding": "numeric", "link": "url", "paid_at": "date_time", "refunded_at": "date_time",
	"reference": "text", currencyKey: "text"}

// fieldKeys are our fields in the order they are made.
var fieldKeys = append(append([]string{}, crm.FieldKeys...), currencyKey)

// fieldCode is what a field is addressed by: unique among the fields of leads, and the same in every account.
func fieldCode(key string) string { return "DEALPAY_" + strings.ToUpper(key) }

var currencyName = map[string]string{"en": "Payment currency", "ru": "Валюта оплаты", "hy": "Վճարման արժույթ"}

func fieldName(key, lang string) string {
	if key != currencyKey {
		return crm.FieldName(key, lang)
	}
	if name, ok := currencyName[lang]; ok {
		return name
	}
	return currencyName["en"]
}

// fieldValues is one field of a lead.
type fieldValues struct {
	Code   string  `json:"field_code"`
	ID     scalar  `json:"field_id,omitempty"`
	Values []value `json:"values"` // null clears the field
}

type value struct {
	Value    scalar `json:"value,omitempty"`
	EnumID   scalar `json:"enum_id,omitempty"`
	EnumCode scalar `json:"enum_code,omitempty"`
}

// encode writes a state as field values. It fails when the amounts are of different currencies, which one
// currency field cannot tell.
func encode(s crm.State) ([]fieldValues, bool) {
	currency, ok := "", true
	for _, m := range []crm.Money{s.Paid, s.Refunded, s.Outstanding} {
		if m.Decimal == "" {
			continue
		}
		ok = ok && (currency == "" || currency == m.Currency)
		currency = m.Currency
	}
	text := map[string]string{"paid": s.Paid.Decimal, "refunded": s.Refunded.Decimal, "outstanding": s.Outstanding.Decimal,
		"link": s.Link, "paid_at": stamp(s.PaidAt), "refunded_at": stamp(s.RefundedAt), "reference": s.Reference,
		currencyKey: currency}
	fields := make([]fieldValues, 0, len(fieldKeys))
	for _, key := range fieldKeys {
		f := fieldValues{Code: fieldCode(key)}
		if key == "status" && s.Status != "" {
			f.Values = []value{{EnumCode: scalar(s.Status)}}
		} else if text[key] != "" {
			f.Values = []value{{Value: scalar(text[key])}}
		}
		fields = append(fields, f)
	}
	return fields, ok
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// decode reads our fields out of a lead's; l helps where the CRM names an option by its id alone.
func decode(fields []fieldValues, pipeline string, l layout) crm.State {
	held := map[string]value{}
	for _, f := range fields {
		if len(f.Values) > 0 {
			held[f.Code] = f.Values[0]
		}
	}
	text := func(key string) string { return string(held[fieldCode(key)].Value) }
	currency := text(currencyKey)
	money := func(key string) crm.Money {
		if d := decimal(text(key), currency); d != "" {
			return crm.Money{Decimal: d, Currency: currency}
		}
		return crm.Money{}
	}
	s := crm.State{Status: statusOf(held[fieldCode("status")], l), Paid: money("paid"), Refunded: money("refunded"),
		Outstanding: money("outstanding"), Link: text("link"), PaidAt: moment(text("paid_at")),
		RefundedAt: moment(text("refunded_at")), Reference: text("reference"), Pipeline: pipeline}
	l.take(&s, fields, currency)
	return s
}

// statusOf reads the status option: by its code, by the id that Setup saw, or by its words.
func statusOf(v value, l layout) crm.Status {
	for _, s := range crm.Statuses {
		if string(v.EnumCode) == string(s) || (v.EnumID != "" && l.Fields["status"].Enums[string(s)] == string(v.EnumID)) {
			return s
		}
	}
	return crm.StatusOf(string(v.Value))
}

// place turns what encode made into custom_fields_values: a value that goes to a field of the customer's leaves ours empty.
func (l layout) place(s crm.State, ours []fieldValues) []any {
	values := make([]any, 0, len(ours))
	for _, f := range ours {
		key := strings.ToLower(strings.TrimPrefix(f.Code, "DEALPAY_"))
		p, elsewhere := l.places[s.Pipeline][key]
		if elsewhere {
			f.Values = nil
		}
		values = append(values, f)
		if elsewhere && isID(p.Field) {
			values = append(values, map[string]any{"field_id": number(p.Field), "values": l.value(s, key, p.Type)})
		}
	}
	return values
}

// value is the value of a key as a field of the customer's holds it; nil clears the field.
func (l layout) value(s crm.State, key string, kind crm.FieldType) []value {
	var text string
	switch kind {
	case crm.NumberField:
		text = s.Amount(key).Decimal
	case crm.DateField, crm.DateTimeField:
		text = stamp(*s.Moment(key))
	default:
		text = s.Text(key, l.lang)
	}
	if text == "" {
		return nil
	}
	return []value{{Value: scalar(text)}}
}

// take reads the values that are not in our own fields; currency is that of fields of numbers.
func (l layout) take(s *crm.State, fields []fieldValues, currency string) {
	held := map[string]string{}
	for _, f := range fields {
		if len(f.Values) > 0 {
			held[string(f.ID)] = string(f.Values[0].Value)
		}
	}
	for key, p := range l.places[s.Pipeline] {
		switch raw := held[p.Field]; p.Type {
		case crm.NumberField:
			*s.Amount(key) = crm.Money{}
			if d := decimal(raw, currency); d != "" {
				*s.Amount(key) = crm.Money{Decimal: d, Currency: currency}
			}
		case crm.DateField, crm.DateTimeField:
			*s.Moment(key) = moment(raw)
		default:
			s.SetText(key, raw)
		}
	}
}

// fieldKinds are the types of fields that values of ours fit into. One of type monetary has a currency of its own, which need not
// be the payment's.
var fieldKinds = map[string]crm.FieldType{"text": crm.TextField, "textarea": crm.TextField, "numeric": crm.NumberField, "url": crm.LinkField,
	"date": crm.DateField, "date_time": crm.DateTimeField}

// Fields lists the account's own fields of leads, in its order. What the CRM itself made is not for us to write.
func (a *Account) Fields(ctx context.Context) ([]crm.Field, error) {
	found, err := all[customField](ctx, a, "/leads/custom_fields", "custom_fields", nil)
	if err != nil {
		return nil, err
	}
	own := []crm.Field{}
	for _, f := range found {
		if slices.ContainsFunc(fieldKeys, func(key string) bool { return f.Code == fieldCode(key) }) || !isID(string(f.ID)) {
			continue
		}
		kind, ok := fieldKinds[f.Type]
		if !ok {
			kind = crm.OtherField
		}
		own = append(own, crm.Field{ID: string(f.ID), Name: f.Name, Type: kind, Writable: !f.Predefined})
	}
	return own, nil
}
