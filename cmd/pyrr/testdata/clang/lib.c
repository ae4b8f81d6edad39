/* A library that Clang compiled with DWARF 5: its location lists and addresses go by
   number (DW_FORM_loclistx, .debug_addr). Compilers are seldom at hand, so lib.so lies
   beside; made by Clang 18, in this folder:

     clang -target x86_64-linux-gnu -O1 -g -gdwarf-5 -shared -fPIC \
         -fdebug-prefix-map="$PWD"=/src -o lib.so lib.c */
#include <unistd.h>

enum color { RED, GREEN, BLUE };
struct pair { int left, right; const char *name; enum color color; };
int counter = 41;
struct pair table[2] = {{1, 2, "one", GREEN}, {3, 4, "two", BLUE}};

__attribute__((noinline)) int sink(int x)
{
    volatile int y = x;
    return y + counter;
}

__attribute__((noinline)) int held(int n, int m, const char *why, struct pair *p)
{
    int a = sink(n) + m;
    int b = sink(a) * 3;
    char buf[16] = "in held";
    buf[0] = why[0];
    write(1, buf, 7);
    sink(b);
    sink(buf[1]);
    return sink(a + b + n + p->right);
}

int outer(int k)
{
    int r = held(k + 3, k * 2, "waits", &table[k & 1]);
    return sink(r) + k;
}
