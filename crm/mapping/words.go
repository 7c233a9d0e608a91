package mapping

import (
	"fmt"
	"strings"

	"github.com/dealpay/dealpay/crm"
)

// Happening is what a note or a task tells.
type Happening struct {
	What      string // a key of the words: paid, refunded, failed, a status, or an exception's kind
	Invoice   string // the invoice's number
	Other     string // of moved money: the other invoice's number, empty where it came from none
	Amount    crm.Money
	Reference string // the acquirer's, empty while unknown; of what a person recorded, the document's
	ByHand    string // the way of money that a person recorded: cash, transfer, other
	Tag       string // found again by it; always the end of the text
}

// texts by what happened, in the order of crm.Langs. {amount}, {invoice} and {ref} are filled in; {ref} brings its own comma. {how} is the way of
// money that a person recorded, with its document; {from} and {to} name the other invoice of moved money, with a space before.
var notes = map[string][3]string{
	"paid":               {"Paid {amount}. Invoice {invoice}{ref}.", "Оплачено {amount}. Счёт {invoice}{ref}.", "Վճարված է {amount}։ Հաշիվ {invoice}{ref}։"},
	"refunded":           {"Refunded {amount}. Invoice {invoice}{ref}.", "Возвращено {amount}. Счёт {invoice}{ref}.", "Վերադարձված է {amount}։ Հաշիվ {invoice}{ref}։"},
	"partially_refunded": {"Refunded in part. Invoice {invoice} of {amount}{ref}.", "Возвращено частично. Счёт {invoice} на {amount}{ref}.", "Մասամբ վերադարձված է։ Հաշիվ {invoice}, {amount}{ref}։"},
	"failed":             {"A payment of {amount} did not go through. Invoice {invoice}{ref}. The link still works.", "Оплата {amount} не прошла. Счёт {invoice}{ref}. Ссылка действует.", "{amount} վճարումը չհաջողվեց։ Հաշիվ {invoice}{ref}։ Հղումը դեռ գործում է։"},
	"received":           {"Recorded by hand: {amount}, {how}. Invoice {invoice}.", "Записана вручную оплата {amount}: {how}. Счёт {invoice}.", "Ձեռքով գրանցված է վճարում՝ {amount}, {how}։ Հաշիվ {invoice}։"},
	"received_undone":    {"Taken back: {amount} recorded by hand, {how}. Invoice {invoice}.", "Запись об оплате {amount} отменена: {how}. Счёт {invoice}.", "Ձեռքով գրանցված վճարումը հետ է վերցված՝ {amount}, {how}։ Հաշիվ {invoice}։"},
	"given_back":         {"Refund recorded by hand: {amount}, {how}. Invoice {invoice}.", "Записан вручную возврат {amount}: {how}. Счёт {invoice}.", "Ձեռքով գրանցված է վերադարձ՝ {amount}, {how}։ Հաշիվ {invoice}։"},
	"given_back_undone":  {"Taken back: the refund of {amount} recorded by hand, {how}. Invoice {invoice}.", "Запись о возврате {amount} отменена: {how}. Счёт {invoice}.", "Ձեռքով գրանցված վերադարձը հետ է վերցված՝ {amount}, {how}։ Հաշիվ {invoice}։"},
	"decision_undone":    {"The decision about the payment of {amount} was taken back. Invoice {invoice}{ref}. It needs a check.", "Решение о платеже {amount} отменено. Счёт {invoice}{ref}. Нужна проверка.", "{amount} վճարման մասին որոշումը հետ է վերցված։ Հաշիվ {invoice}{ref}։ Պահանջվում է ստուգում։"},
	"moved_out":          {"Moved {amount}{to}. Invoice {invoice}{ref}.", "Перенесено {amount}{to}. Счёт {invoice}{ref}.", "Տեղափոխված է {amount}{to}։ Հաշիվ {invoice}{ref}։"},
	"moved_in":           {"Received {amount}{from}. Invoice {invoice}{ref}.", "Получено {amount}{from}. Счёт {invoice}{ref}.", "Ստացված է {amount}{from}։ Հաշիվ {invoice}{ref}։"},
	"move_undone":        {"The move of {amount} was taken back. Invoice {invoice}{ref}.", "Перенос {amount} отменён. Счёт {invoice}{ref}.", "{amount} տեղափոխումը հետ է վերցված։ Հաշիվ {invoice}{ref}։"},
	"awaiting_payment":   {"Waiting for {amount}. Invoice {invoice}{ref}.", "Ожидается {amount}. Счёт {invoice}{ref}.", "Սպասվում է {amount}։ Հաշիվ {invoice}{ref}։"},
	"expired":            {"The payment link for {amount} has expired unpaid. Invoice {invoice}{ref}.", "Ссылка на оплату {amount} истекла. Счёт {invoice}{ref}.", "{amount} վճարման հղման ժամկետն անցել է։ Հաշիվ {invoice}{ref}։"},
	"cancelled":          {"The payment link for {amount} was cancelled. Invoice {invoice}{ref}.", "Ссылка на оплату {amount} отменена. Счёт {invoice}{ref}.", "{amount} վճարման հղումը չեղարկվել է։ Հաշիվ {invoice}{ref}։"},
	"disputed":           {"The customer disputes the payment of {amount} at the bank. Invoice {invoice}{ref}.", "Клиент оспаривает платёж {amount} в банке. Счёт {invoice}{ref}.", "Հաճախորդը բանկում վիճարկում է {amount} վճարումը։ Հաշիվ {invoice}{ref}։"},
	"manual_review":      {"A payment on invoice {invoice} of {amount} needs a check{ref}.", "Платёж по счёту {invoice} на {amount} требует проверки{ref}.", "{invoice} հաշվի ({amount}) վճարումը պահանջում է ստուգում{ref}։"},
	wrongAmount:          {"Received {amount}, which is not the amount of invoice {invoice}{ref}. It needs a check.", "Получено {amount}: сумма не та, что в счёте {invoice}{ref}. Нужна проверка.", "Ստացվել է {amount}. գումարը չի համընկնում {invoice} հաշվի հետ{ref}։ Պահանջվում է ստուգում։"},
	wrongCurrency:        {"Received {amount}, in another currency than invoice {invoice}{ref}. It needs a check.", "Получено {amount}: валюта не та, что в счёте {invoice}{ref}. Нужна проверка.", "Ստացվել է {amount}. արժույթը չի համընկնում {invoice} հաշվի հետ{ref}։ Պահանջվում է ստուգում։"},
	wrongMerchant:        {"The bank reports {amount} for another merchant. Invoice {invoice}{ref}. It needs a check.", "Банк сообщает {amount} для другого продавца. Счёт {invoice}{ref}. Нужна проверка.", "Բանկը հայտնում է {amount} այլ վաճառողի համար։ Հաշիվ {invoice}{ref}։ Պահանջվում է ստուգում։"},
	secondPayment:        {"A second payment of {amount} came for invoice {invoice}{ref}. It needs a check.", "Пришёл второй платёж {amount} по счёту {invoice}{ref}. Нужна проверка.", "{invoice} հաշվի համար եկել է երկրորդ վճարում՝ {amount}{ref}։ Պահանջվում է ստուգում։"},
	paidAfterCancel:      {"{amount} came for invoice {invoice} after it was cancelled{ref}. It needs a check.", "{amount} пришло по отменённому счёту {invoice}{ref}. Нужна проверка.", "{amount} եկել է չեղարկված {invoice} հաշվով{ref}։ Պահանջվում է ստուգում։"},
	paidAfterExpiry:      {"{amount} came for invoice {invoice} after its time was over{ref}. It needs a check.", "{amount} пришло по просроченному счёту {invoice}{ref}. Нужна проверка.", "{amount} եկել է ժամկետանց {invoice} հաշվով{ref}։ Պահանջվում է ստուգում։"},
	orphan:               {"{amount} came to the acquirer without a payment of ours. Order {invoice}{ref}. It needs a check.", "{amount} пришло в банк без нашего платежа. Заказ {invoice}{ref}. Нужна проверка.", "{amount} եկել է բանկ առանց մեր վճարման։ Պատվեր {invoice}{ref}։ Պահանջվում է ստուգում։"},
	refundUnknown:        {"It is not known whether the refund of {amount} on invoice {invoice} went through{ref}.", "Неизвестно, прошёл ли возврат {amount} по счёту {invoice}{ref}.", "Հայտնի չէ՝ արդյոք {invoice} հաշվի {amount} վերադարձը կատարվել է{ref}։"},
	"refund_failed":      {"The refund of {amount} came to nothing: the customer has not got it. Invoice {invoice}{ref}.", "Возврат {amount} не состоялся: клиент его не получил. Счёт {invoice}{ref}.", "{amount} վերադարձը չկայացավ. հաճախորդը գումարը չի ստացել։ Հաշիվ {invoice}{ref}։"},
	"payment_sent_back":  {"{amount} came and cannot be taken as it is: the acquirer was told to give it back. Order {invoice}{ref}.", "Пришло {amount}, принять это нельзя: банку сказано вернуть деньги. Заказ {invoice}{ref}.", "Եկել է {amount}, որն այդպես ընդունել հնարավոր չէ. բանկին ասվել է վերադարձնել գումարը։ Պատվեր {invoice}{ref}։"},
	"answer_unclear":     {"The acquirer's answer about a payment of {amount} cannot be read. Invoice {invoice}{ref}. It needs a check.", "Ответ банка о платеже {amount} непонятен. Счёт {invoice}{ref}. Нужна проверка.", "{amount} վճարման մասին բանկի պատասխանն անհասկանալի է։ Հաշիվ {invoice}{ref}։ Պահանջվում է ստուգում։"},
	"dispute_opened":     {"The customer's bank demands {amount} back. Invoice {invoice}{ref}. Answer in the acquirer's console before its deadline.", "Банк клиента требует вернуть {amount}. Счёт {invoice}{ref}. Ответьте в кабинете банка до срока.", "Հաճախորդի բանկը պահանջում է վերադարձնել {amount}։ Հաշիվ {invoice}{ref}։ Պատասխանեք բանկի կաբինետում մինչև ժամկետը։"},
	"dispute_won":        {"The dispute over {amount} was decided for you. Invoice {invoice}{ref}.", "Спор о {amount} решён в вашу пользу. Счёт {invoice}{ref}.", "{amount} վեճը լուծվել է հօգուտ ձեզ։ Հաշիվ {invoice}{ref}։"},
	"dispute_lost":       {"The dispute was lost: the bank took {amount} back. Invoice {invoice}{ref}.", "Спор проигран: банк забрал {amount}. Счёт {invoice}{ref}.", "Վեճը պարտված է. բանկը հետ է վերցրել {amount}։ Հաշիվ {invoice}{ref}։"},
	"never_captured":     {"{amount} has been held on the customer's card for a week and was not taken. Invoice {invoice}{ref}.", "{amount} уже неделю заморожено на карте клиента и не списано. Счёт {invoice}{ref}.", "{amount} արդեն մեկ շաբաթ սառեցված է հաճախորդի քարտին և չի գանձվել։ Հաշիվ {invoice}{ref}։"},
	"never_answered":     {"The customer came back from paying {amount}, and the acquirer never said how that ended. Invoice {invoice}{ref}. It needs a check.", "Клиент вернулся с оплаты {amount}, а банк так и не сказал, чем она кончилась. Счёт {invoice}{ref}. Нужна проверка.", "Հաճախորդը վերադարձել է {amount} վճարումից, և բանկն այդպես էլ չի հայտնել, թե ինչով է այն ավարտվել։ Հաշիվ {invoice}{ref}։ Պահանջվում է ստուգում։"},
	"reversed_by_bank":   {"The bank undid the payment of {amount}. Invoice {invoice}{ref}.", "Банк отменил платёж {amount}. Счёт {invoice}{ref}.", "Բանկը չեղարկել է {amount} վճարումը։ Հաշիվ {invoice}{ref}։"},
	"refund_after_move":  {"The bank gave back {amount} that counts for another invoice. Invoice {invoice}{ref}. It needs a check.", "Банк вернул {amount}, которые зачтены другому счёту. Счёт {invoice}{ref}. Нужна проверка.", "Բանկը վերադարձրել է {amount}, որը հաշվարկված է այլ հաշվի համար։ Հաշիվ {invoice}{ref}։ Պահանջվում է ստուգում։"},
	"task":               {"Open the Dealpay tab of this deal and choose what to do.", "Откройте вкладку Dealpay в этой сделке и выберите, что делать.", "Բացեք այս գործարքի Dealpay ներդիրը և ընտրեք, թե ինչ անել։"},
	"closed":             {"Settled in Dealpay.", "Решено в Dealpay.", "Լուծված է Dealpay-ում։"},
}

// Kinds of exceptions, as payments names them.
const (
	wrongAmount     = "wrong_amount"
	wrongCurrency   = "wrong_currency"
	wrongMerchant   = "wrong_merchant"
	secondPayment   = "second_payment"
	paidAfterCancel = "paid_after_cancel"
	paidAfterExpiry = "paid_after_expiry"
	orphan          = "orphan"
	refundUnknown   = "refund_unknown"
)

// ways of money that a person recorded.
var ways = map[string][3]string{
	"cash":     {"cash", "наличные", "կանխիկ"},
	"transfer": {"bank transfer", "банковский перевод", "բանկային փոխանցում"},
	"other":    {"another way", "другим способом", "այլ եղանակով"},
}

// fromWords and toWords lead to the other invoice of moved money; strayWord stands where it came from none.
var (
	fromWords = [3]string{" moved from invoice %s", ", перенесено со счёта %s", "՝ տեղափոխված %s հաշվից"}
	toWords   = [3]string{" to invoice %s", " на счёт %s", " %s հաշվին"}
	strayWord = [3]string{" that had named no invoice", ", пришло без счёта", "՝ եկած առանց հաշվի"}
)

var referenceWord = [3]string{", payment ", ", платёж ", ", վճարում "}

func pick(words [3]string, lang string) string {
	for i, l := range crm.Langs {
		if l == lang {
			return words[i]
		}
	}
	return words[0]
}

// Note is the text of a timeline note in a language of crm.Langs.
func Note(h Happening, lang string) string { return fill(h, lang) + " " + h.Tag }

// Task is the text of a task: what happened and what to do.
func Task(h Happening, lang string) string {
	return fill(h, lang) + "\n" + pick(notes["task"], lang) + " " + h.Tag
}

// Closed is the result of a task that ended by itself.
func Closed(lang string) string { return pick(notes["closed"], lang) }

func fill(h Happening, lang string) string {
	words, ok := notes[h.What]
	if !ok {
		words = notes["manual_review"]
	}
	reference := ""
	if h.Reference != "" {
		reference = pick(referenceWord, lang) + h.Reference
	}
	how, known := ways[h.ByHand]
	if !known {
		how = ways["other"]
	}
	way := pick(how, lang)
	if h.Reference != "" {
		way += ", " + h.Reference
	}
	from, to := pick(strayWord, lang), ""
	if h.Other != "" {
		from, to = fmt.Sprintf(pick(fromWords, lang), h.Other), fmt.Sprintf(pick(toWords, lang), h.Other)
	}
	return strings.NewReplacer("{amount}", Amount(h.Amount, lang), "{invoice}", h.Invoice, "{ref}", reference, "{how}", way,
		"{from}", from, "{to}", to).Replace(pick(words, lang))
}

// Amount writes money for people: grouped thousands, all decimals, the currency's code.
func Amount(m crm.Money, lang string) string {
	whole, decimals, _ := strings.Cut(m.Decimal, ".")
	group, point := "\u00a0", ","
	if lang == "en" {
		group, point = ",", "."
	}
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(group)
		}
		b.WriteRune(digit)
	}
	if decimals != "" {
		b.WriteString(point + decimals)
	}
	return b.String() + " " + m.Currency
}
