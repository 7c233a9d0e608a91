package amo

import (
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
func decode(fields []fieldValues, l layout) crm.State {
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
	return crm.State{Status: statusOf(held[fieldCode("status")], l), Paid: money("paid"), Refunded: money("refunded"),
		Outstanding: money("outstanding"), Link: text("link"), PaidAt: moment(text("paid_at")),
		RefundedAt: moment(text("refunded_at")), Reference: text("reference")}
}

// statusOf reads the status option: by its code, by the id that Setup saw, or by its words.
func statusOf(v value, l layout) crm.Status {
	for _, s := range crm.Statuses {
		if string(v.EnumCode) == string(s) || (v.EnumID != "" && l.Fields["status"].Enums[string(s)] == string(v.EnumID)) {
			return s
		}
	}
	return statusByLabel(string(v.Value))
}

func statusByLabel(text string) crm.Status {
	for _, s := range crm.Statuses {
		for _, lang := range crm.Langs {
			if s.Label(lang) == text {
				return s
			}
		}
	}
	return ""
}
