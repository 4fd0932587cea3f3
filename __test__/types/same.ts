// Compares types to the letter: an `any`, a `?`, a `readonly` or a default more or less makes two of them differ.

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** `same<A, B>()` type-checks where A and B are the same type; elsewhere an argument is missing that nobody can give. */
export declare function same<A, B>(...differ: Same<A, B> extends true ? [] : [never]): void;
