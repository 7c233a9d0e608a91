package crm

// Status is what a deal shows: one of the normalized list, or empty when nothing is owed yet.
type Status string

// The normalized list, the same in every CRM.
const (
	AwaitingPayment   Status = "awaiting_payment"
	Paid              Status = "paid"
	PaymentFailed     Status = "payment_failed"
	Expired           Status = "expired"
	Cancelled         Status = "cancelled"
	ManualReview      Status = "manual_review"
	PartiallyRefunded Status = "partially_refunded"
	Refunded          Status = "refunded"
	Disputed          Status = "disputed"
)

// Statuses is the normalized list in the order people see it.
var Statuses = []Status{AwaitingPayment, Paid, PaymentFailed, Expired, Cancelled, ManualReview,
	PartiallyRefunded, Refunded, Disputed}

// Langs are the languages that texts inside the CRM are written in.
var Langs = []string{"en", "ru", "hy"}

var labels = map[Status][3]string{
	AwaitingPayment:   {"Awaiting payment", "Ожидает оплаты", "Սպասում է վճարման"},
	Paid:              {"Paid", "Оплачено", "Վճարված է"},
	PaymentFailed:     {"Payment failed", "Оплата не прошла", "Վճարումը չհաջողվեց"},
	Expired:           {"Expired", "Срок истёк", "Ժամկետն անցել է"},
	Cancelled:         {"Cancelled", "Отменено", "Չեղարկված է"},
	ManualReview:      {"Manual review", "Нужна проверка", "Պահանջում է ստուգում"},
	PartiallyRefunded: {"Partially refunded", "Частично возвращено", "Մասամբ վերադարձված է"},
	Refunded:          {"Refunded", "Возвращено", "Վերադարձված է"},
	Disputed:          {"Disputed", "Оспаривается", "Վիճարկվում է"},
}

// Label is the status in a language of Langs; other languages get English.
func (s Status) Label(lang string) string {
	for i, l := range Langs {
		if l == lang {
			return labels[s][i]
		}
	}
	return labels[s][0]
}

// FieldName is the label of one of our fields, by the keys status, paid, refunded,
// outstanding, link, paid_at, refunded_at, reference.
func FieldName(key, lang string) string {
	names := fieldNames[key]
	for i, l := range Langs {
		if l == lang {
			return names[i]
		}
	}
	return names[0]
}

// FieldKeys lists our fields in the order they are made.
var FieldKeys = []string{"status", "paid", "refunded", "outstanding", "link", "paid_at", "refunded_at", "reference"}

var fieldNames = map[string][3]string{
	"status":      {"Payment status", "Статус оплаты", "Վճարման կարգավիճակ"},
	"paid":        {"Paid amount", "Оплачено, сумма", "Վճարված գումար"},
	"refunded":    {"Refunded amount", "Возвращено, сумма", "Վերադարձված գումար"},
	"outstanding": {"Outstanding amount", "Осталось оплатить", "Մնացորդ"},
	"link":        {"Payment link", "Ссылка на оплату", "Վճարման հղում"},
	"paid_at":     {"Paid at", "Дата оплаты", "Վճարման ժամանակ"},
	"refunded_at": {"Refunded at", "Дата возврата", "Վերադարձի ժամանակ"},
	"reference":   {"Payment reference", "Номер платежа", "Վճարման համար"},
}
