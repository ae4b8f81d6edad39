package unwind

// The slots of types that are functions. The name is the one that Python has for the
// slot's wrapper (Objects/typeobject.c, slotdefs), where that is one; else the
// slot's.

// typeSlot is a function of a PyTypeObject, by its distance from tp_name. The layout
// has been the same since 3.8.
type typeSlot struct {
	at   uint64
	name string
}

var typeSlots = []typeSlot{
	{0x18, "tp_dealloc"}, {0x28, "tp_getattr"}, {0x30, "tp_setattr"}, {0x40, "__repr__"},
	{0x60, "__hash__"}, {0x68, "__call__"}, {0x70, "__str__"}, {0x78, "__getattribute__"}, {0x80, "tp_setattro"},
	{0xa0, "tp_traverse"}, {0xa8, "tp_clear"}, {0xb0, "tp_richcompare"}, {0xc0, "__iter__"}, {0xc8, "__next__"},
	{0xf8, "__get__"}, {0x100, "tp_descr_set"}, {0x110, "__init__"}, {0x118, "tp_alloc"}, {0x120, "__new__"},
	{0x128, "tp_free"}, {0x130, "tp_is_gc"}, {0x160, "tp_del"}, {0x170, "__del__"}, {0x178, "tp_vectorcall"},
}

// Arrays of a PyTypeObject, by their distance from tp_name.
const (
	typeMethods = 0xd0
	typeGetSet  = 0xe0
)

// typeParts are the tables of functions that a type has beside it, in the order of
// their members; "" for one that is reserved.
var typeParts = []struct {
	at    uint64
	names []string
}{
	{0x38, []string{"__await__", "__aiter__", "__anext__", "am_send"}},
	{0x48, []string{
		"nb_add", "nb_subtract", "nb_multiply", "nb_remainder", "nb_divmod", "nb_power", "__neg__", "__pos__", "__abs__",
		"__bool__", "__invert__", "nb_lshift", "nb_rshift", "nb_and", "nb_xor", "nb_or", "__int__", "", "__float__",
		"__iadd__", "__isub__", "__imul__", "__imod__", "__ipow__", "__ilshift__", "__irshift__", "__iand__", "__ixor__", "__ior__",
		"nb_floor_divide", "nb_true_divide", "__ifloordiv__", "__itruediv__", "__index__", "nb_matrix_multiply", "__imatmul__",
	}},
	{0x50, []string{"__len__", "sq_concat", "sq_repeat", "sq_item", "", "sq_ass_item", "", "__contains__", "sq_inplace_concat", "sq_inplace_repeat"}},
	{0x58, []string{"__len__", "__getitem__", "mp_ass_subscript"}},
	{0x88, []string{"bf_getbuffer", "bf_releasebuffer"}},
}

// Slots of PyType_Spec that lead to arrays (Include/typeslots.h).
const (
	slotMethods = 64
	slotGetSet  = 73
)

// slotNames are the functions by the number of their slot, "" for data.
var slotNames = [...]string{
	1: "bf_getbuffer", 2: "bf_releasebuffer", 3: "mp_ass_subscript", 4: "__len__", 5: "__getitem__", 6: "__abs__", 7: "nb_add",
	8: "nb_and", 9: "__bool__", 10: "nb_divmod", 11: "__float__", 12: "nb_floor_divide", 13: "__index__", 14: "__iadd__",
	15: "__iand__", 16: "__ifloordiv__", 17: "__ilshift__", 18: "__imul__", 19: "__ior__", 20: "__ipow__", 21: "__imod__",
	22: "__irshift__", 23: "__isub__", 24: "__itruediv__", 25: "__ixor__", 26: "__int__", 27: "__invert__", 28: "nb_lshift",
	29: "nb_multiply", 30: "__neg__", 31: "nb_or", 32: "__pos__", 33: "nb_power", 34: "nb_remainder", 35: "nb_rshift",
	36: "nb_subtract", 37: "nb_true_divide", 38: "nb_xor", 39: "sq_ass_item", 40: "sq_concat", 41: "__contains__",
	42: "sq_inplace_concat", 43: "sq_inplace_repeat", 44: "sq_item", 45: "__len__", 46: "sq_repeat", 47: "tp_alloc",
	48: "", 49: "", 50: "__call__", 51: "tp_clear", 52: "tp_dealloc", 53: "tp_del", 54: "__get__", 55: "tp_descr_set", 56: "",
	57: "tp_getattr", 58: "__getattribute__", 59: "__hash__", 60: "__init__", 61: "tp_is_gc", 62: "__iter__", 63: "__next__",
	64: "", 65: "__new__", 66: "__repr__", 67: "tp_richcompare", 68: "tp_setattr", 69: "tp_setattro", 70: "__str__",
	71: "tp_traverse", 72: "", 73: "", 74: "tp_free", 75: "nb_matrix_multiply", 76: "__imatmul__", 77: "__await__",
	78: "__aiter__", 79: "__anext__", 80: "__del__", 81: "am_send", 82: "tp_vectorcall", 83: "",
}
